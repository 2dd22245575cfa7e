import { randomUUID } from "node:crypto";
import { ConnectError, createContextKey, type HandlerContext, type Interceptor } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Running, Telemetry, WorkFailure } from "../domain/telemetry.ts";
import { connectErrorOf, podplugErrorOf } from "../wire/errors.ts";
import type { RequestFacts } from "./auth/contract.ts";
import { abortReasonOf } from "./errors.ts";

/** One call as the telemetry follows it, from its request's first byte to its answer's last. */
export interface Call {
  /** What its log lines, its plugins and its caller know it by. */
  readonly requestId: string;
  readonly running: Running;
  /** Whether its answer, or all of its stream, was ready to be sent. */
  complete: boolean;
}

export const callKey = createContextKey<Call | undefined>(undefined, {
  description: "the call and its request ID",
});

// What can stand in a header, an environment variable and a log line as it is.
const requestIdForm = /^[\w.:=+/-]{1,128}$/;

/** The request ID that the caller gave in `x-request-id`, or a new one. */
export function readRequestId(given: string | null | undefined): string {
  return given && requestIdForm.test(given) ? given : randomUUID();
}

export function beginCall(options: {
  readonly telemetry: Telemetry;
  readonly method: string;
  readonly transport: RequestFacts["transport"];
  readonly headers: Headers;
  readonly requestId: string;
}): Call {
  const { telemetry, method, transport, headers, requestId } = options;
  const traceparent = headers.get("traceparent") ?? undefined;
  const running = telemetry.begin({ kind: "call", method, transport, requestId, traceparent });
  return { requestId, running, complete: false };
}

type Gate = (context: HandlerContext) => Promise<void>;

/** The same gate, telling how each call that comes to it ends, whatever ends it. */
export function noteCalls(gate: Gate): Gate {
  return (context) => {
    const { signal, values } = context;
    const call = values.get(callKey);
    const end = (): void => call?.running.end(endingOf(signal, call));
    // The context's signal aborts at the end of every call, however it ends.
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
    return gate(context);
  };
}

/** Marks calls whose answer is complete: an HTTP/1.1 client that goes away aborts with the same reason as a success. */
export const markComplete: Interceptor = (next) => async (request) => {
  const call = request.contextValues.get(callKey);
  const complete = (): void => {
    if (call) call.complete = true;
  };
  const response = await next(request);
  if (response.stream) return { ...response, message: followed(response.message, complete) };
  complete();
  return response;
};

async function* followed<T>(messages: AsyncIterable<T>, onEnd: () => void): AsyncIterable<T> {
  yield* messages;
  onEnd();
}

function endingOf(signal: AbortSignal, { complete }: Call): WorkFailure | undefined {
  const cause: unknown = signal.reason;
  const isPlain = cause instanceof Error && cause.name === "AbortError";
  if (isPlain && complete) return undefined;
  const error = isPlain ? connectErrorOf(abortReasonOf(signal)) : ConnectError.from(cause);
  const { reason, message } = podplugErrorOf(error);
  return { reason, message, code: codeToString(error.code) };
}
