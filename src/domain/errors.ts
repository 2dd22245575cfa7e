import { type ErrorKind, type Reason, reasons } from "./reasons.ts";

export interface FailureFacts {
  /** The CNI plugin that failed, by its type. */
  readonly plugin?: string | undefined;
  /** The CNI error code it gave. */
  readonly cniCode?: number | undefined;
  /** What it said beyond its message. */
  readonly details?: string | undefined;
  readonly retryAfterMs?: number | undefined;
  /** What was asked for may be done yet: whoever does it can't be told to stop. */
  readonly mayGoOn?: boolean | undefined;
  readonly cause?: unknown;
}

/** By which an error is known whose class is another copy of this one: the program's parts each have their own. */
const mark = Symbol.for("podplug.PodplugError");

/** What failed and on what, in lower case without a full stop; the cause is kept. */
export class PodplugError extends Error {
  static override [Symbol.hasInstance](thrown: unknown): thrown is PodplugError {
    return thrown instanceof Error && mark in thrown;
  }

  override readonly name = "PodplugError";
  readonly reason: Reason;
  readonly plugin: string | undefined;
  readonly cniCode: number | undefined;
  readonly details: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly mayGoOn: boolean;

  constructor(reason: Reason, message: string, facts: FailureFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.reason = reason;
    this.plugin = facts.plugin;
    this.cniCode = facts.cniCode;
    this.details = facts.details;
    this.retryAfterMs = facts.retryAfterMs;
    this.mayGoOn = facts.mayGoOn ?? false;
    Object.defineProperty(this, mark, { value: true });
  }

  get kind(): ErrorKind {
    return reasons[this.reason].kind;
  }

  get transient(): boolean {
    return reasons[this.reason].transient;
  }
}

/** Why something failed, as data: in a record, in an event, on the wire. */
export interface Failure {
  /** A `Reason`, or the word of a newer version. */
  readonly reason: string;
  readonly message: string;
  readonly plugin?: string | undefined;
  readonly cniCode?: number | undefined;
  readonly details?: string | undefined;
  readonly retryable: boolean;
  readonly retryAfterMs?: number | undefined;
}

/** The process, or the system, has as many files open as it may. */
const outOfDescriptors: readonly (string | undefined)[] = ["EMFILE", "ENFILE"];

/** Any thrown thing as ours: what isn't a PodplugError yet is INTERNAL, with its cause kept, or a lack of descriptors. */
export function asPodplugError(thrown: unknown): PodplugError {
  if (thrown instanceof PodplugError) return thrown;
  if (outOfDescriptors.includes(systemCodeOf(thrown))) {
    const message = `the agent can't open one more file: ${messageOf(thrown)}`;
    return new PodplugError("RESOURCE_EXHAUSTED", message, { cause: thrown });
  }
  return new PodplugError("INTERNAL", messageOf(thrown), { cause: thrown });
}

export function failureOf(thrown: unknown): Failure {
  const error = asPodplugError(thrown);
  return {
    reason: error.reason,
    message: error.message,
    plugin: error.plugin,
    cniCode: error.cniCode,
    details: error.details,
    retryable: error.transient,
    retryAfterMs: error.retryAfterMs,
  };
}

export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The error's own code (`ENOENT`, …) when it is one of Node's, for telling errors apart without their text. */
export function systemCodeOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("code" in thrown)) return undefined;
  return typeof thrown.code === "string" ? thrown.code : undefined;
}
