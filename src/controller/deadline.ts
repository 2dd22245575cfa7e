import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";

/** Runs one call with a signal that aborts with `signal`, and when `timeoutMs` have passed. */
export async function withDeadline<T>(
  options: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal },
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  using _timer = options.clock.setTimer(options.timeoutMs, () =>
    late.abort(new PodplugError("DEADLINE_EXCEEDED", `no answer within ${options.timeoutMs / 1000} s`)),
  );
  return await call(AbortSignal.any([options.signal, late.signal]));
}
