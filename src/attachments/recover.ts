import { neverAborted } from "../domain/signals.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { viewOf, viewOfDetached } from "./view.ts";

/**
 * Makes one record of an earlier run whole or gone (the plugins of that run
 * have ended by then), and tells the watchers. Callers hold the sandbox's lane.
 *
 * attaching: undone, as nobody heard that it was done; but a replacement is
 *            finished, since undoing it would take away what its caller had.
 * detaching, failed: DEL again.
 * attached:  stays, unless its namespace is gone: then DEL gives its address back.
 * waiting:   goes on waiting.
 */
export async function recoverRecord(
  record: AttachmentRecord,
  core: Pick<EngineCore, "applier" | "namespaces" | "endSandbox" | "feed" | "log">,
): Promise<void> {
  const { applier, namespaces, endSandbox, feed, log } = core;
  const isNamespaceGone = async (): Promise<boolean> =>
    (await namespaces.find(record.sandbox, neverAborted)) === undefined;
  const gone = (message: string): void => {
    log.info(factsOf(record), message);
    feed.publish({ kind: "detached", interface: viewOfDetached(record) });
  };
  switch (record.state) {
    case "attached":
      if (await isNamespaceGone()) await endSandbox(record.sandbox);
      return;
    case "waiting":
      return;
    case "attaching":
      await applier.undo(record);
      gone("undid an attach that was interrupted");
      if (record.replaces && !(await isNamespaceGone())) await finish({ ...record, replaces: undefined });
      return;
    case "detaching":
      await applier.detach(record);
      gone("finished a detach that was interrupted");
      return;
    case "failed":
      await applier.undo(record);
      gone("cleaned up after a failed attach");
  }

  async function finish(replacement: AttachmentRecord): Promise<void> {
    const { record: whole, link } = await applier.attach(replacement);
    log.info(factsOf(whole), "finished a replacement that was interrupted");
    feed.publish({ kind: "attached", interface: viewOf(whole.sandbox, link, whole) });
  }
}
