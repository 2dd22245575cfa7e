import type { IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Clock } from "../domain/clock.ts";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import { goJson } from "../domain/json.ts";
import { unlessAborted } from "../domain/signals.ts";
import type { KubeAccess, KubeSession } from "./access.ts";
import { type ApiAnswer, type ApiCaller, refusalError } from "./api-errors.ts";
import { createGuard, type Guard } from "./guard.ts";
import { LineCutter } from "./lines.ts";

export interface ApiCall {
  readonly method?: "GET" | "POST" | "PATCH";
  /** With its query. */
  readonly path: string;
  readonly accept?: string;
  readonly body?: { readonly type: string; readonly content: unknown };
  /** For messages: `getting pod demo/web`. */
  readonly doing: string;
  /** Statuses other than success that are an answer, not a failure. */
  readonly expected?: readonly number[];
}

/**
 * Speaks to the API server over HTTPS with one pool of connections. A 401 is
 * answered with credentials read anew, once. Failures: UNREACHABLE (nobody
 * there, too slow, too busy, cut off), PRIVILEGE_MISSING (for a user instead
 * UNAUTHENTICATED and DENIED), INVALID_REQUEST, and the signal's.
 */
export interface ApiClient {
  call(call: ApiCall, signal: AbortSignal): Promise<ApiAnswer>;
  /**
   * Hands each line of an answer to `onLine` until the server ends it, and
   * resolves with the answer's status: 200, or one that was expected. Silence
   * for too long is UNREACHABLE: so does a half-open connection show.
   */
  follow(call: ApiCall, onLine: (line: string) => void, signal: AbortSignal): Promise<number>;
}

export interface ApiClientOptions {
  readonly access: KubeAccess;
  readonly clock: Clock;
  readonly caller?: ApiCaller;
  /** For a whole call. */
  readonly callMs?: number;
  /** Between two pieces of an answer that is followed; the API server sends a bookmark each minute. */
  readonly idleMs?: number;
  readonly maxBytes?: number;
  readonly maxLineBytes?: number;
}

/** A connection that was kept open may have been closed by the server in the instant it is used again. */
const maxStaleConnections = 3;

export function createApiClient({
  access,
  clock,
  caller = "agent",
  callMs = 30_000,
  idleMs = 90_000,
  maxBytes = 128 * 1024 * 1024,
  maxLineBytes = 8 * 1024 * 1024,
}: ApiClientOptions): ApiClient {
  /** Runs one request and reads its answer, all within the guard. */
  async function exchange<T>(
    call: ApiCall,
    guard: Guard,
    read: (response: IncomingMessage) => Promise<T>,
  ): Promise<T> {
    let response: IncomingMessage | undefined;
    try {
      response = await ask(call, guard.signal);
      return await read(response);
    } catch (error) {
      if (guard.signal.aborted) throw guard.signal.reason;
      if (error instanceof PodplugError) throw error;
      throw new PodplugError("UNREACHABLE", `${call.doing}: ${messageOf(error)}`, { cause: error });
    } finally {
      if (response && !response.readableEnded) response.destroy();
    }
  }

  async function ask(call: ApiCall, signal: AbortSignal): Promise<IncomingMessage> {
    let refused = false;
    for (let stale = 0; ; ) {
      const session = await unlessAborted(access.session(), signal, call.doing);
      const answer = await send(session, call, signal);
      if (answer === "stale") {
        stale += 1;
        if (stale > maxStaleConnections) throw new Error("the API server closes every connection");
      } else if (answer.statusCode === 401) {
        access.refused();
        if (refused) return answer;
        refused = true;
        answer.destroy();
      } else {
        return answer;
      }
    }
  }

  async function answerOf(response: IncomingMessage, call: ApiCall): Promise<ApiAnswer> {
    const status = response.statusCode ?? 0;
    const body = await readBody(response, maxBytes);
    const retryAfterMs = (Number(response.headers["retry-after"]) || 0) * 1000 || undefined;
    const isAnswer = (status >= 200 && status < 300) || call.expected?.includes(status);
    if (!isAnswer) throw refusalError({ status, body, retryAfterMs }, call.doing, caller);
    return { status, body };
  }

  return {
    async call(call, signal) {
      using guard = createGuard({ clock, limitMs: callMs, doing: call.doing, signal });
      return await exchange(call, guard, (response) => answerOf(response, call));
    },
    async follow(call, onLine, signal) {
      using guard = createGuard({ clock, limitMs: idleMs, doing: call.doing, signal });
      return await exchange(call, guard, async (response) => {
        guard.touch();
        if (response.statusCode !== 200) return (await answerOf(response, call)).status;
        const cutter = new LineCutter(maxLineBytes);
        for await (const chunk of response as AsyncIterable<Buffer>) {
          guard.touch();
          for (const line of cutter.cut(chunk)) onLine(line);
        }
        return 200;
      });
    },
  };
}

async function send(
  { server, agent, headers }: KubeSession,
  { method = "GET", path, accept = "application/json", body }: ApiCall,
  signal: AbortSignal,
): Promise<IncomingMessage | "stale"> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage | "stale">();
  const content = body && Buffer.from(goJson(body.content));
  const request = httpsRequest(new URL(`${server.pathname.replace(/\/$/, "")}${path}`, server), {
    agent,
    method,
    headers: {
      ...headers,
      accept,
      "user-agent": "podplug",
      ...(body && content ? { "content-type": body.type, "content-length": content.length } : {}),
    },
  });
  const stop = (): void => void request.destroy();
  signal.addEventListener("abort", stop, { once: true });
  // Until the answer is read to its end, the caller may still leave.
  request.once("close", () => signal.removeEventListener("abort", stop));
  request.once("response", resolve);
  request.on("error", (error) => {
    const isStale = request.reusedSocket && ["ECONNRESET", "EPIPE"].includes(systemCodeOf(error) ?? "");
    if (isStale && !signal.aborted) resolve("stale");
    else reject(error);
  });
  if (signal.aborted) stop();
  request.end(content);
  return await promise;
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`the answer is larger than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  if (!response.headers["content-type"]?.startsWith("application/json")) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new Error("the answer isn't JSON", { cause });
  }
}
