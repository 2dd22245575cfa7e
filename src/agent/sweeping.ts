import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../attachments/engine.ts";
import type { PodFeed } from "../kube/contract.ts";

/** How often what waits for its pod's next sandbox is tried, and what couldn't be looked after. */
const leftoverEveryMs = 10_000;
/**
 * How often it is looked whether namespaces are gone, should nobody have told:
 * a tenth of a millisecond of work for each that has attachments.
 */
const sweepEveryMs = 180_000;

/**
 * How long after a pod's last sign its namespace is looked for, and how long
 * after that once more: the runtime takes it down about then, a pod that was
 * deleted without grace later.
 */
const afterPodMs = [500, 2_500];

/** Has the engine detach what ended with its sandbox: soon after a pod is gone, and now and then in any case. */
export async function sweepOften(
  engine: Pick<Engine, "sweep" | "sweepLeftover">,
  pods: Pick<PodFeed, "watch" | "get"> | undefined,
  stopped: AbortSignal,
): Promise<void> {
  const begun = new Set<Promise<void>>();
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  await Promise.race([failed, Promise.all([sweepAtIntervals(), pods && sweepAfterPods(pods)])]);
  await Promise.all(begun);

  /** Nobody waits for it: a DEL that hangs must not keep the next sweep. */
  function begin(sweep: Promise<void>): void {
    begun.add(sweep);
    sweep.then(() => begun.delete(sweep), fail);
  }

  async function sweepAtIntervals(): Promise<void> {
    for (let atMs = leftoverEveryMs; await passed(leftoverEveryMs); atMs += leftoverEveryMs) {
      begin(atMs % sweepEveryMs === 0 ? engine.sweep() : engine.sweepLeftover());
    }
  }

  async function sweepAfterPods(feed: Pick<PodFeed, "watch" | "get">): Promise<void> {
    for await (const event of feed.watch(stopped)) {
      if (event.kind !== "changed" || feed.get(event.key)) continue;
      for (const delayMs of afterPodMs) if (await passed(delayMs)) begin(engine.sweep());
    }
  }

  /** False once the agent stops. */
  async function passed(delayMs: number): Promise<boolean> {
    try {
      await sleep(delayMs, undefined, { signal: stopped, ref: false });
      return true;
    } catch (error) {
      if (stopped.aborted) return false;
      throw error;
    }
  }
}
