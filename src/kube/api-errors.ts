import { PodplugError } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import type { Reason } from "../domain/reasons.ts";

/** What the API server answered; a body that isn't JSON is its text. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

interface Refusal extends ApiAnswer {
  readonly retryAfterMs?: number | undefined;
}

/** Whose rights at the API server are used: the node agent's own, or those of whoever runs this program. */
export type ApiCaller = "agent" | "user";

/** A status that the caller has no use for, as our error. `doing` says what was asked: `getting pod demo/web`. */
export function refusalError(
  { status, body, retryAfterMs }: Refusal,
  doing: string,
  caller: ApiCaller = "agent",
): PodplugError {
  const said = messageIn(body);
  const message = `${doing}: the API server answered ${status}${said === "" ? "" : ` (${said})`}`;
  return new PodplugError(reasonOf(status, caller), message, { retryAfterMs });
}

function reasonOf(status: number, caller: ApiCaller): Reason {
  switch (status) {
    case 401:
      return caller === "user" ? "UNAUTHENTICATED" : "PRIVILEGE_MISSING";
    case 403:
      return caller === "user" ? "DENIED" : "PRIVILEGE_MISSING";
    case 400:
    case 406:
    case 413:
    case 415:
    case 422:
      return "INVALID_REQUEST";
    default:
      return "UNREACHABLE";
  }
}

/** The message of a Kubernetes Status, or the beginning of a text. */
export function messageIn(body: unknown): string {
  const message = isJsonObject(body) ? body["message"] : body;
  return typeof message === "string" ? message.trim().slice(0, 1000) : "";
}
