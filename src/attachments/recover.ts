import { neverAborted } from "../domain/signals.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { makeAgain, mustStay } from "./make-again.ts";
import { viewOfDetached } from "./view.ts";

/**
 * Makes one record of an earlier run whole or gone (the plugins of that run
 * have ended by then), and tells the watchers. Callers hold the sandbox's lane.
 *
 * attaching: undone, as nobody heard that it was done; but a replacement is
 *            finished, since undoing it would take away what its caller had,
 *            and so is what was being made again.
 * detaching, failed: DEL again; what must not be lost waits from then on.
 * attached:  stays, unless its namespace is gone: then DEL gives its address back.
 * waiting:   goes on waiting.
 */
export async function recoverRecord(
  record: AttachmentRecord,
  core: Pick<EngineCore, "applier" | "namespaces" | "endSandbox" | "feed" | "log">,
): Promise<void> {
  const { applier, namespaces, endSandbox, feed, log } = core;
  const gone = (message: string): void => {
    log.info(factsOf(record), message);
    feed.publish({ kind: "detached", interface: viewOfDetached(record) });
  };
  switch (record.state) {
    case "attached":
      if (!(await namespaces.find(record.sandbox, neverAborted))) await endSandbox(record.sandbox);
      return;
    case "waiting":
      return;
    case "attaching": {
      const isOwed = record.replaces !== undefined || record.restores === true;
      await applier.undo({ ...record, restores: isOwed ? mustStay(record) : undefined });
      gone("undid an attach that was interrupted");
      const there = isOwed && (await namespaces.find(record.sandbox, neverAborted));
      if (there) await makeAgain(record, { ...record.sandbox, netnsPath: there.netnsPath }, core);
      return;
    }
    case "detaching":
      await applier.detach(record);
      gone("finished a detach that was interrupted");
      return;
    case "failed":
      await applier.undo(record);
      gone("cleaned up after a failed attach");
  }
}
