import type { Clock } from "../domain/clock.ts";

const firstDelayMs = 1_000;
const longestDelayMs = 5 * 60_000;

/** Half to the whole of a delay that doubles with each attempt: many failures at once spread out. */
function retryDelayMs(attempt: number, random: () => number): number {
  const delayMs = Math.min(firstDelayMs * 2 ** attempt, longestDelayMs);
  return delayMs * (0.5 + random() / 2);
}

/** Tries what failed again, for ever, with backoff, one timer a key. */
export class Retries {
  readonly #clock: Clock;
  readonly #pending = new Map<string, { attempt: number; timer: Disposable | undefined }>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * `attempt` resolves true when nothing is left to do; `postponedMs` is how long what refused wants to be left
   * alone, beside the backoff. Does nothing while the key waits already.
   */
  schedule(key: string, attempt: () => Promise<boolean>, postponedMs: () => number = () => 0): void {
    const entry = this.#pending.get(key) ?? { attempt: 0, timer: undefined };
    if (this.#closed || entry.timer) return;
    this.#pending.set(key, entry);
    const delayMs = postponedMs() + retryDelayMs(entry.attempt, Math.random);
    entry.timer = this.#clock.setTimer(delayMs, () => {
      entry.timer = undefined;
      entry.attempt += 1;
      const again = (): void => this.schedule(key, attempt, postponedMs);
      attempt().then((done) => (done ? this.#pending.delete(key) : again()), again);
    });
  }

  isPending(key: string): boolean {
    return this.#pending.has(key);
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#pending.values()) timer?.[Symbol.dispose]();
    this.#pending.clear();
  }
}
