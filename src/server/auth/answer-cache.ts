import type { Clock } from "../../domain/clock.ts";
import { neverAborted, unlessAborted } from "../../domain/signals.ts";

export interface AnswerCache<T> {
  /** What is known under the key, or what `ask` answers; asked once for all who wait at the same time. */
  get(key: string, ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T>;
}

/**
 * Answers of somebody else, each for as long as it may be believed, and of
 * those at most `maxEntries`, those that end first going first: so a flood of
 * refusals, which are kept briefly, pushes out none that matters. A failure
 * isn't kept.
 * `ask` bounds its time itself: it is asked for all who wait.
 */
export function createAnswerCache<T>(options: {
  readonly lifetimeMs: (answer: T) => number;
  readonly clock: Clock;
  readonly doing: string;
  readonly maxEntries?: number;
}): AnswerCache<T> {
  const { lifetimeMs, clock, doing, maxEntries = 4096 } = options;
  const entries = new Map<string, { readonly answer: T; readonly from: number; readonly until: number }>();
  const underWay = new Map<string, Promise<T>>();

  function dropFirstToEnd(): void {
    let first: string | undefined;
    let least = Number.POSITIVE_INFINITY;
    for (const [key, { until }] of entries) {
      if (until < least) [first, least] = [key, until];
    }
    if (first !== undefined) entries.delete(first);
  }

  async function load(key: string, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      // From when it was asked: what changes meanwhile isn't in the answer.
      const from = clock.now().getTime();
      const answer = await ask(neverAborted);
      entries.set(key, { answer, from, until: from + lifetimeMs(answer) });
      if (entries.size > maxEntries) dropFirstToEnd();
      return answer;
    } finally {
      underWay.delete(key);
    }
  }

  return {
    async get(key, ask, signal) {
      const now = clock.now().getTime();
      const entry = entries.get(key);
      // A clock that was set back says nothing about age.
      if (entry && now >= entry.from && now < entry.until) return entry.answer;
      let loading = underWay.get(key);
      if (!loading) {
        loading = load(key, ask);
        underWay.set(key, loading);
      }
      return await unlessAborted(loading, signal, doing);
    },
  };
}
