import type { Clock } from "../domain/clock.ts";
import { type QueueReading, silentTelemetry, type Telemetry } from "../domain/telemetry.ts";

const firstDelayMs = 1_000;
const longestDelayMs = 5 * 60_000;

/** Half to the whole of a delay that doubles with each attempt: many failures at once spread out. */
function retryDelayMs(attempt: number, random: () => number): number {
  const delayMs = Math.min(firstDelayMs * 2 ** attempt, longestDelayMs);
  return delayMs * (0.5 + random() / 2);
}

interface Pending {
  readonly sinceMs: number;
  attempt: number;
  timer: Disposable | undefined;
}

/** Tries what failed again, for ever, with backoff, one timer a key. */
export class Retries {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #pending = new Map<string, Pending>();
  #closed = false;

  constructor(clock: Clock, telemetry: Telemetry = silentTelemetry) {
    this.#clock = clock;
    this.#telemetry = telemetry;
    telemetry.watch({ kind: "queue", name: "cleanup", read: () => this.#read() });
  }

  /**
   * `attempt` resolves true when nothing is left to do; `postponedMs` is how long what refused wants to be left
   * alone, beside the backoff. Does nothing while the key waits already.
   */
  schedule(key: string, attempt: () => Promise<boolean>, postponedMs: () => number = () => 0): void {
    const entry = this.#pending.get(key) ?? { sinceMs: this.#clock.steadyMs(), attempt: 0, timer: undefined };
    if (this.#closed || entry.timer) return;
    this.#pending.set(key, entry);
    this.#telemetry.count({ kind: "retry", queue: "cleanup" });
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

  #read(): QueueReading {
    // Keys stand in the order in which they failed first.
    const [oldest] = this.#pending.values();
    const waiting = [...this.#pending.values()].filter(({ timer }) => timer !== undefined);
    return {
      depth: 0,
      retrying: waiting.length,
      oldestAgeMs: oldest ? this.#clock.steadyMs() - oldest.sinceMs : 0,
    };
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#pending.values()) timer?.[Symbol.dispose]();
    this.#pending.clear();
  }
}
