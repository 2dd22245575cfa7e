import { neverAborted } from "../domain/signals.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";

/**
 * Finds the sandboxes whose namespace is gone: a pod's deletion or a new
 * sandbox takes the interfaces along, and leaves their addresses and the
 * hosts' ends. DEL begins only then, never at a pod's deletionTimestamp: a pod
 * may need its networks to the end. What waits for a new sandbox is tried too.
 */
export function createSweep(core: EngineCore, restoreAll: () => Promise<void>): () => Promise<void> {
  const { book, lanes, namespaces, log } = core;
  let running: Promise<void> | undefined;

  async function sweep(): Promise<void> {
    await putBackAll();
    const sandboxes = new Map<string, Sandbox>();
    for (const { state, sandbox } of book.all()) if (state === "attached") sandboxes.set(sandbox.id, sandbox);
    for (const sandbox of sandboxes.values()) {
      if (core.isStopping()) return;
      try {
        if (!(await namespaces.isGone(sandbox, neverAborted))) continue;
        await lanes.run(sandbox.id, () => core.endSandbox(sandbox), neverAborted);
      } catch (error) {
        log.warn(
          { sandbox: sandbox.id, err: error },
          "looking after an ended sandbox failed; it is tried again",
        );
      }
    }
    await restoreAll();
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

  // A second call while one runs joins it: it is about what is gone by now all the same.
  return () => (running ??= sweep().finally(() => (running = undefined)));
}
