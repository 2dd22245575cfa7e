import { PodplugError } from "../domain/errors.ts";
import { abortReasonOf } from "./errors.ts";

/**
 * The signal that NodeApi gets for one call: aborts with its request's, or
 * after `maxMs`, and its reason is a PodplugError that says why.
 */
export function createCallSignal(request: AbortSignal, maxMs?: number): Disposable & { signal: AbortSignal } {
  const controller = new AbortController();
  const onAbort = (): void => controller.abort(abortReasonOf(request));
  if (request.aborted) onAbort();
  request.addEventListener("abort", onAbort, { once: true });
  const timer =
    maxMs === undefined
      ? undefined
      : setTimeout(() => {
          const message = `no answer within ${maxMs / 1000} seconds, the longest that a call may take`;
          controller.abort(new PodplugError("DEADLINE_EXCEEDED", message));
        }, maxMs);
  return {
    signal: controller.signal,
    [Symbol.dispose]() {
      clearTimeout(timer);
      request.removeEventListener("abort", onAbort);
    },
  };
}
