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
  /** Those that are being detached: a sweep that finds one of them gone again joins. */
  const ending = new Map<string, Promise<void>>();

  async function lookAfter(sandbox: Sandbox): Promise<void> {
    if (core.isStopping()) return;
    left.delete(sandbox.id);
    try {
      if (!ending.has(sandbox.id) && !(await namespaces.isGone(sandbox, neverAborted))) return;
    } catch (error) {
      leave(sandbox, error);
      return;
    }
    const running = ending.get(sandbox.id) ?? end(sandbox).finally(() => ending.delete(sandbox.id));
    ending.set(sandbox.id, running);
    await running;
    await restore.ofSandbox(sandbox.id);
  }

  async function end(sandbox: Sandbox): Promise<void> {
    try {
      await lanes.run(sandbox.id, () => core.endSandbox(sandbox), neverAborted);
    } catch (error) {
      leave(sandbox, error);
    }
  }

  function leave(sandbox: Sandbox, error: unknown): void {
    left.set(sandbox.id, sandbox);
    log.warn({ sandbox: sandbox.id, err: error }, "looking after an ended sandbox failed; it is tried again");
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
