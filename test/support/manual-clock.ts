import type { Clock } from "../../src/domain/clock.ts";

export interface ManualClock extends Clock {
  /** Time passes, and what was due within it happens, in order. */
  advance(ms: number): void;
  /** Timers that wait. */
  readonly waiting: number;
}

export function createManualClock(start = new Date("2026-01-01T00:00:00Z")): ManualClock {
  let now = start.getTime();
  const timers = new Set<{ readonly at: number; readonly action: () => void }>();
  return {
    now: () => new Date(now),
    steadyMs: () => now,
    setTimer(delayMs, action) {
      const timer = { at: now + delayMs, action };
      timers.add(timer);
      return { [Symbol.dispose]: () => void timers.delete(timer) };
    },
    advance(ms) {
      const end = now + ms;
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
        if (!next) break;
        timers.delete(next);
        now = Math.max(now, next.at);
        next.action();
      }
      now = end;
    },
    get waiting() {
      return timers.size;
    },
  };
}
