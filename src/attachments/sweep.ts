import { neverAborted } from "../domain/signals.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";

export interface Sweep {
  /** Looks after every sandbox. A second call while one runs joins it: it is about what is gone by now all the same. */
  all(): Promise<void>;
  /** Only what the runtime, or DEL, kept from being looked after before, and what waits. */
  leftover(): Promise<void>;
}

/**
 * Finds the sandboxes whose namespace is gone: a pod's deletion or a new
 * sandbox takes the interfaces along, and leaves their addresses and the
 * hosts' ends. DEL begins only then, never at a pod's deletionTimestamp: a pod
 * may need its networks to the end. What waits for a new sandbox is tried too.
 */
export function createSweep(core: EngineCore, restoreAll: () => Promise<void>): Sweep {
  const { book, lanes, namespaces, log } = core;
  /** Those that couldn't be looked after. */
  const left = new Map<string, Sandbox>();
  let running: Promise<void> | undefined;

  async function sweep(): Promise<void> {
    await putBackAll();
    const sandboxes = new Map<string, Sandbox>();
    for (const { state, sandbox } of book.all()) if (state === "attached") sandboxes.set(sandbox.id, sandbox);
    await lookAfter([...sandboxes.values()]);
    await restoreAll();
  }

  async function lookAfter(sandboxes: readonly Sandbox[]): Promise<void> {
    for (const sandbox of sandboxes) {
      if (core.isStopping()) return;
      left.delete(sandbox.id);
      try {
        if (!(await namespaces.isGone(sandbox, neverAborted))) continue;
        await lanes.run(sandbox.id, () => core.endSandbox(sandbox), neverAborted);
      } catch (error) {
        left.set(sandbox.id, sandbox);
        log.warn(
          { sandbox: sandbox.id, err: error },
          "looking after an ended sandbox failed; it is tried again",
        );
      }
    }
  }

  /** A full disk may have room again. */
  async function putBackAll(): Promise<void> {
    for (const record of book.astray()) {
      if (core.isStopping()) return;
      await lanes
        .run(record.sandbox.id, () => book.putBack(record), neverAborted)
        .catch((error: unknown) =>
          log.warn({ ...factsOf(record), err: error }, "the journal can't be put right"),
        );
    }
  }

  return {
    all: () => (running ??= sweep().finally(() => (running = undefined))),
    async leftover() {
      if (running) return await running;
      await lookAfter([...left.values()]);
      await restoreAll();
    },
  };
}
