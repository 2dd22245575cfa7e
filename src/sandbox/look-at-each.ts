import type { Clock } from "../domain/clock.ts";
import { asPodplugError, PodplugError } from "../domain/errors.ts";
import { neverAborted, unlessAborted } from "../domain/signals.ts";
import type { KnownSandbox } from "./known-sandboxes.ts";
import type { ListedSandbox } from "./runtime.ts";

export interface Round {
  readonly learnt: readonly KnownSandbox[];
  /** Those that can't be told of, and why, by their IDs. One that has just ended is in neither. */
  readonly left: ReadonlyMap<string, PodplugError>;
}

/**
 * Learns of many sandboxes side by side. With a `patienceMs`, those are left
 * behind that say nothing for so long after the last of the others did; what
 * was asked of them goes on, and is heard by the next round.
 */
export function createLookAtEach(
  learn: (sandboxId: string, signal: AbortSignal) => Promise<KnownSandbox>,
  clock: Clock,
) {
  /** By sandbox: one that hangs is asked once, however many rounds come by. */
  const looks = new Map<string, Promise<KnownSandbox>>();

  function look(id: string): Promise<KnownSandbox> {
    // Nobody's signal: others may wait for it by then. The runtime has a deadline for each answer.
    const running = looks.get(id) ?? learn(id, neverAborted).finally(() => looks.delete(id));
    looks.set(id, running);
    return running;
  }

  return async function lookAtEach(
    listed: readonly ListedSandbox[],
    { patienceMs }: { readonly patienceMs?: number },
    signal: AbortSignal,
  ): Promise<Round> {
    const learnt = new Map<string, KnownSandbox>();
    const left = new Map(listed.map(({ id }) => [id, silent(id)]));
    const patience = createPatience(clock, patienceMs);
    const looking = listed.map(async ({ id }) => {
      try {
        const entry = await look(id);
        left.delete(id);
        learnt.set(id, entry);
      } catch (thrown) {
        const error = asPodplugError(thrown);
        if (error.reason === "SANDBOX_NOT_READY") left.delete(id);
        else left.set(id, error);
      }
      patience.renew();
    });
    try {
      const ended = Promise.race([Promise.all(looking), patience.lost]);
      await unlessAborted(ended, signal, "looking at the node's sandboxes");
      // What comes later must not change an answer.
      return { learnt: listed.flatMap(({ id }) => learnt.get(id) ?? []), left: new Map(left) };
    } finally {
      patience.end();
    }
  };
}

function silent(id: string): PodplugError {
  return new PodplugError("UNREACHABLE", `the container runtime says nothing of sandbox ${id}`);
}

/** Is lost when it isn't renewed in time; never without a time. */
function createPatience(clock: Clock, ms: number | undefined) {
  const { promise: lost, resolve: lose } = Promise.withResolvers<void>();
  let timer: Disposable | undefined;
  let over = false;
  const end = (): void => {
    over = true;
    timer?.[Symbol.dispose]();
  };
  const renew = (): void => {
    timer?.[Symbol.dispose]();
    if (ms !== undefined && !over) timer = clock.setTimer(ms, lose);
  };
  renew();
  return { lost, renew, end };
}
