import { PodplugError, type Reason } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";

/** What the API server answered; a body that isn't JSON is its text. */
export interface ApiAnswer {
  readonly status: number;
  readonly body: unknown;
}

interface Refusal extends ApiAnswer {
  readonly retryAfterMs?: number | undefined;
}

/** A status that the caller has no use for, as our error. `doing` says what was asked: `getting pod demo/web`. */
export function refusalError({ status, body, retryAfterMs }: Refusal, doing: string): PodplugError {
  const said = messageIn(body);
  const message = `${doing}: the API server answered ${status}${said === "" ? "" : ` (${said})`}`;
  return new PodplugError(reasonOf(status), message, { retryAfterMs });
}

function reasonOf(status: number): Reason {
  switch (status) {
    case 401:
    case 403:
      return "PRIVILEGE_MISSING";
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
