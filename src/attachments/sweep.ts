import { neverAborted } from "../domain/signals.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import type { Restore } from "./restore.ts";

export interface Sweep {
  /** Looks after every sandbox; what hangs at one of them keeps neither the others nor the next sweep. */
  all(): Promise<void>;
  /** Only what the runtime, or DEL, kept from being looked after before, and what waits. */
  leftover(): Promise<void>;
}

/**
 * Finds the sandboxes whose namespace is gone: a pod's deletion or a new
 * sandbox takes the interfaces along, and leaves their addresses and the
 * hosts' ends. DEL begins only then, never at a pod's deletionTimestamp: a pod
 * may need its networks to the end. What waits for a new sandbox is tried too.
 * All side by side: lanes and gate bound it.
 */
export function createSweep(core: EngineCore, restore: Restore): Sweep {
  const { book, lanes, namespaces, log } = core;
  /** Those that couldn't be looked after. */
  const left = new Map<string, Sandbox>();
  /** Those that are being looked after: a sweep that comes to one of them joins. */
  const running = new Map<string, Promise<boolean>>();

  async function lookAfter(sandbox: Sandbox): Promise<void> {
    if (core.isStopping()) return;
    const { id } = sandbox;
    const ending = running.get(id) ?? endIfGone(sandbox).finally(() => running.delete(id));
    running.set(id, ending);
    if (await ending) await restore.ofSandbox(id);
  }

  async function endIfGone(sandbox: Sandbox): Promise<boolean> {
    let gone = false;
    left.delete(sandbox.id);
    try {
      gone = await namespaces.isGone(sandbox, neverAborted);
      if (gone) await lanes.run(sandbox.id, () => core.endSandbox(sandbox), neverAborted);
    } catch (error) {
      left.set(sandbox.id, sandbox);
      log.warn(
        { sandbox: sandbox.id, err: error },
        "looking after an ended sandbox failed; it is tried again",
      );
    }
    return gone;
  }

  /** A full disk may have room again. */
  async function putBack(record: AttachmentRecord): Promise<void> {
    if (core.isStopping()) return;
    await lanes
      .run(record.sandbox.id, () => book.putBack(record), neverAborted)
      .catch((error: unknown) =>
        log.warn({ ...factsOf(record), err: error }, "the journal can't be put right"),
      );
  }

  return {
    async all() {
      const sandboxes = new Map<string, Sandbox>();
      for (const { state, sandbox } of book.all()) {
        if (state === "attached") sandboxes.set(sandbox.id, sandbox);
      }
      // First in its lane: what is put back may be what ended.
      const astray = book.astray().map(putBack);
      await Promise.all([...astray, ...sandboxes.values().map(lookAfter), restore.all()]);
    },
    async leftover() {
      await Promise.all([...[...left.values()].map(lookAfter), restore.all()]);
    },
  };
}
