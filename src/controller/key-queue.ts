import type { Clock } from "../domain/clock.ts";
import type { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import {
  observe,
  type QueueName,
  type QueueReading,
  silentTelemetry,
  type Telemetry,
} from "../domain/telemetry.ts";

/**
 * done:   nothing to do until the key is added again.
 * soon:   what failed may succeed by itself: again with a delay that doubles,
 *         after what refused was left alone for as long as it wants to be.
 * slowly: what failed needs somebody, whose act nobody tells us of.
 */
export type Outcome = "done" | "soon" | "slowly" | { readonly soonAfterMs: number };

/** What follows from a failure. */
export function outcomeOf({ transient, retryAfterMs }: PodplugError): Outcome {
  if (!transient) return "slowly";
  return retryAfterMs === undefined ? "soon" : { soonAfterMs: retryAfterMs };
}

/** Of two outcomes of one key's work, the one to go by: done only when both are, and nothing asked for too soon. */
export function worse(a: Outcome, b: Outcome): Outcome {
  return rankOf(a) > rankOf(b) ? a : b;
}

function rankOf(outcome: Outcome): number {
  return typeof outcome === "object" ? 2 + outcome.soonAfterMs : ["done", "slowly", "soon"].indexOf(outcome);
}

const firstDelayMs = 500;
const longestDelayMs = 30_000;
const slowDelayMs = 60_000;
const longestPostponementMs = 60_000;

export interface KeyQueueOptions {
  readonly name: QueueName;
  readonly work: (key: string, signal: AbortSignal) => Promise<Outcome>;
  /** How many keys are worked on at once. */
  readonly maxConcurrent: number;
  readonly clock: Clock;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
  readonly log: Logger;
  readonly telemetry?: Telemetry | undefined;
}

interface KeyState {
  /** When it was added, and wasn't done since. */
  sinceMs: number;
  running: boolean;
  /** Added or nudged while it ran: once more, as what it read may be old. */
  dirty: "added" | "nudged" | undefined;
  attempt: number;
  timer?: Disposable | undefined;
  /** What refused wants to be left alone for as long as the timer runs. */
  postponed?: boolean;
}

/**
 * Keys to work on: each once however often it is added, never twice at a
 * time, many side by side in the order they came. A key that failed comes
 * back by itself; one that throws is taken for one that may yet succeed.
 */
export class KeyQueue {
  readonly #options: KeyQueueOptions;
  readonly #telemetry: Telemetry;
  readonly #states = new Map<string, KeyState>();
  readonly #waiting = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();
  #open = false;

  constructor(options: KeyQueueOptions) {
    this.#options = options;
    this.#telemetry = options.telemetry ?? silentTelemetry;
    this.#telemetry.watch({ kind: "queue", name: options.name, read: () => this.#read() });
  }

  /** Work begins; what was added before was only noted. */
  open(): void {
    this.#open = true;
    this.#pump();
  }

  /** What the key stands for is wanted otherwise by now: at once, whatever it waits for. */
  add(key: string): void {
    this.#begin(key, "added");
  }

  /** Something may have changed: at once, unless it waits because what refused wants to be left alone. */
  nudge(key: string): void {
    if (!this.#states.get(key)?.postponed) this.#begin(key, "nudged");
  }

  #begin(key: string, why: "added" | "nudged"): void {
    const state = this.#stateOf(key);
    state.timer?.[Symbol.dispose]();
    state.timer = undefined;
    state.postponed = false;
    if (!state.running) this.#waiting.add(key);
    else if (state.dirty !== "added") state.dirty = why;
    this.#pump();
  }

  /** Aborts what runs and resolves when it has ended; nothing begins any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    for (const { timer } of this.#states.values()) timer?.[Symbol.dispose]();
    this.#states.clear();
    this.#waiting.clear();
    await Promise.all(this.#running);
  }

  #read(): QueueReading {
    const states = [...this.#states.values()];
    const nowMs = this.#options.clock.steadyMs();
    return {
      depth: this.#waiting.size,
      retrying: states.filter(({ timer }) => timer !== undefined).length,
      oldestAgeMs: Math.max(0, ...states.map(({ sinceMs }) => nowMs - sinceMs)),
    };
  }

  #stateOf(key: string): KeyState {
    const state = this.#states.get(key) ?? {
      sinceMs: this.#options.clock.steadyMs(),
      running: false,
      dirty: undefined,
      attempt: 0,
    };
    this.#states.set(key, state);
    return state;
  }

  #pump(): void {
    while (
      this.#open &&
      !this.#closing.signal.aborted &&
      this.#running.size < this.#options.maxConcurrent &&
      this.#waiting.size > 0
    ) {
      const [key = ""] = this.#waiting;
      this.#waiting.delete(key);
      const run: Promise<void> = this.#run(key).finally(() => {
        this.#running.delete(run);
        this.#pump();
      });
      this.#running.add(run);
    }
  }

  async #run(key: string): Promise<void> {
    const { name, work, log } = this.#options;
    const state = this.#stateOf(key);
    state.running = true;
    let outcome: Outcome;
    try {
      outcome = await observe(this.#telemetry, { kind: "item", queue: name }, () =>
        work(key, this.#closing.signal),
      );
    } catch (error) {
      outcome = "soon";
      if (!this.#closing.signal.aborted)
        log.warn({ pod: key, err: error }, "a pod's work failed; it is tried again");
    }
    state.running = false;
    if (this.#closing.signal.aborted) return;
    const { dirty } = state;
    state.dirty = undefined;
    state.postponed = typeof outcome === "object";
    if (dirty === "added" || (dirty === "nudged" && !state.postponed)) {
      state.postponed = false;
      if (outcome === "done") state.sinceMs = this.#options.clock.steadyMs();
      this.#waiting.add(key);
    } else if (outcome === "done") {
      this.#states.delete(key);
    } else {
      state.timer = this.#again(key, state, outcome);
    }
  }

  #again(key: string, state: KeyState, outcome: Exclude<Outcome, "done">): Disposable {
    const { clock, random } = this.#options;
    const delayMs =
      outcome === "slowly" ? slowDelayMs : Math.min(firstDelayMs * 2 ** state.attempt, longestDelayMs);
    const postponedMs =
      typeof outcome === "object" ? Math.min(outcome.soonAfterMs, longestPostponementMs) : 0;
    state.attempt += 1;
    this.#telemetry.count({ kind: "retry", queue: this.#options.name });
    // Half to the whole of it, so that many that failed at once spread out.
    return clock.setTimer(postponedMs + delayMs * (0.5 + random() / 2), () => this.add(key));
  }
}
