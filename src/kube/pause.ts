import type { Clock } from "../domain/clock.ts";

/** Resolves after the time, or as soon as the signal aborts. */
export async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const stop = (): void => resolve();
  signal.addEventListener("abort", stop, { once: true });
  using _timer = clock.setTimer(delayMs, stop);
  await promise;
  signal.removeEventListener("abort", stop);
}
