/** Time, injected so that tests decide when it passes. */
export interface Clock {
  now(): Date;
  /** Calls `action` once after `delayMs`, unless disposed of before. Never keeps the process alive. */
  setTimer(delayMs: number, action: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => new Date(),
  setTimer(delayMs, action) {
    const timer = setTimeout(action, delayMs).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
