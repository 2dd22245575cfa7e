import { neverAborted } from "../domain/signals.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import { viewOfDetached } from "./view.ts";

/**
 * Gives back what ended with its namespace: a pod's deletion or a new sandbox
 * takes the interfaces along, and leaves their addresses and the hosts' ends.
 * DEL then runs without CNI_NETNS. It begins only when the namespace is gone,
 * never at a pod's deletionTimestamp: a pod may need its networks to the end.
 */
export function createSweep(core: EngineCore): () => Promise<void> {
  const { book, lanes, namespaces, applier, feed, log } = core;
  let running: Promise<void> | undefined;

  async function sweep(): Promise<void> {
    const sandboxes = new Map<string, Sandbox>();
    for (const { state, sandbox } of book.all()) if (state === "attached") sandboxes.set(sandbox.id, sandbox);
    for (const sandbox of sandboxes.values()) {
      if (core.isStopping()) return;
      try {
        if (!(await namespaces.isGone(sandbox, neverAborted))) continue;
        await lanes.run(sandbox.id, () => detachAll(sandbox), neverAborted);
      } catch (error) {
        log.warn(
          { sandbox: sandbox.id, err: error },
          "looking after an ended sandbox failed; it is tried again",
        );
      }
    }
  }

  async function detachAll(sandbox: Sandbox): Promise<void> {
    for (const record of book.ofSandbox(sandbox.id)) {
      if (record.state !== "attached" || core.isStopping()) continue;
      // One that fails is tried again by itself, and must not keep the others.
      await applier.detach(record).then(
        () => {
          log.info(factsOf(record), "detached what its sandbox took with it");
          feed.publish({ kind: "detached", interface: viewOfDetached(record) });
        },
        (error: unknown) =>
          log.warn({ ...factsOf(record), err: error }, "detaching after a sandbox's end failed"),
      );
    }
  }

  // A second call while one runs joins it: it is about what is gone by now all the same.
  return () => (running ??= sweep().finally(() => (running = undefined)));
}
