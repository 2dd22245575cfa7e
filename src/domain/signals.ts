import { PodplugError } from "./errors.ts";

/** Why a caller's signal aborted, as our error: its deadline, or it went away. */
export function abortError(signal: AbortSignal, doing: string): PodplugError {
  const cause: unknown = signal.reason;
  if (cause instanceof PodplugError) return cause;
  const late = cause instanceof Error && cause.name === "TimeoutError";
  return late
    ? new PodplugError("DEADLINE_EXCEEDED", `deadline passed while ${doing}`, { cause })
    : new PodplugError("CANCELED", `canceled while ${doing}`, { cause });
}

/** `promise`, or the signal's error as soon as it aborts; what the promise stands for goes on. */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal, doing: string): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => reject(abortError(signal, doing));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([aborted, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** For work that belongs to nobody who could leave. */
export const neverAborted: AbortSignal = new AbortController().signal;
