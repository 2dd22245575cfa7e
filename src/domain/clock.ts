/** Time, injected so that tests decide when it passes. */
export interface Clock {
  now(): Date;
  /** Milliseconds since some moment, which only go forward, whatever is done to the node's clock: for how long something took. */
  steadyMs(): number;
  /** Calls `action` once after `delayMs`, unless disposed of before. Never keeps the process alive. */
  setTimer(delayMs: number, action: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => new Date(),
  steadyMs: () => performance.now(),
  setTimer(delayMs, action) {
    const timer = setTimeout(action, delayMs).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};

/** Resolves after `delayMs`, or as soon as `signal` aborts. */
export async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  const wake = (): void => resolve();
  using _timer = clock.setTimer(delayMs, wake);
  signal.addEventListener("abort", wake, { once: true });
  await promise;
  signal.removeEventListener("abort", wake);
}
