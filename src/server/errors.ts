import { Code, ConnectError, type Interceptor, type StreamResponse } from "@connectrpc/connect";
import { failureOf, PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { connectErrorOf, podplugErrorOf } from "../wire/errors.ts";

/** Why a call's signal aborted: its deadline, the agent's end, or a caller that went away. */
export function abortReasonOf(signal: AbortSignal): PodplugError {
  const error = podplugErrorOf(signal.reason);
  if (error.reason === "DEADLINE_EXCEEDED" || error.reason === "AGENT_STOPPING") return error;
  return new PodplugError("CANCELED", "the caller went away", { cause: signal.reason });
}

/** What a call threw as its caller gets it. Our own faults are logged here, where they stop travelling. */
export function answerFor(thrown: unknown, signal: AbortSignal, log: Logger, method: string): ConnectError {
  const aborted = signal.aborted && !(thrown instanceof PodplugError);
  const error = aborted ? abortReasonOf(signal) : (unreadable(thrown) ?? podplugErrorOf(thrown));
  if (error.kind === "internal") log.error({ method, ...failureOf(error), err: error }, "call failed");
  return connectErrorOf(error);
}

/**
 * The protocol library calls it internal when a stream's request is no
 * message. Our own errors are none of its kind, so that is the caller's fault.
 */
function unreadable(thrown: unknown): PodplugError | undefined {
  if (!(thrown instanceof ConnectError) || thrown.code !== Code.Internal) return undefined;
  return new PodplugError("INVALID_REQUEST", `the request can't be read: ${thrown.rawMessage}`, {
    cause: thrown,
  });
}

/** The one place where a service's errors become the wire's. */
export function translateErrors(log: Logger): Interceptor {
  return (next) => async (request) => {
    const answer = (thrown: unknown): ConnectError =>
      answerFor(thrown, request.signal, log, request.method.name);
    try {
      const response = await next(request);
      return response.stream ? { ...response, message: translated(response.message, answer) } : response;
    } catch (thrown) {
      throw answer(thrown);
    }
  };
}

async function* translated(
  messages: StreamResponse["message"],
  answer: (thrown: unknown) => ConnectError,
): StreamResponse["message"] {
  try {
    yield* messages;
  } catch (thrown) {
    throw answer(thrown);
  }
}
