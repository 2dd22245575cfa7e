import type { Logger } from "../domain/log.ts";
import { neverAborted } from "../domain/signals.ts";
import type { Applier } from "./apply.ts";
import { factsOf } from "./apply.ts";
import type { AttachmentRecord } from "./journal.ts";
import type { Namespaces } from "./namespaces.ts";

/**
 * Makes one record of an earlier run whole or gone (the plugins of that run
 * have ended by then). Callers hold the sandbox's lane.
 *
 * attaching: undone, as nobody heard that it was done; but a replacement is
 *            finished, since undoing it would take away what its caller had.
 * detaching, failed: DEL again.
 * attached:  stays, unless its namespace is gone: then DEL gives its address back.
 */
export async function recoverRecord(
  record: AttachmentRecord,
  options: {
    readonly applier: Applier;
    readonly namespaces: Namespaces;
    readonly log: Logger;
  },
): Promise<"kept" | "undone" | "finished"> {
  const { applier, namespaces, log } = options;
  const isNamespaceGone = async (): Promise<boolean> =>
    (await namespaces.find(record.sandbox, neverAborted)) === undefined;
  switch (record.state) {
    case "attached":
      if (!(await isNamespaceGone())) return "kept";
      await applier.detach(record);
      log.info(factsOf(record), "detached what its namespace took with it");
      return "undone";
    case "attaching": {
      const replaced = record.replaces;
      await applier.undo(record);
      if (!replaced || (await isNamespaceGone())) {
        log.info(factsOf(record), "undid an attach that was interrupted");
        return "undone";
      }
      await applier.attach({ ...record, replaces: undefined });
      log.info(factsOf(record), "finished a replacement that was interrupted");
      return "finished";
    }
    case "detaching":
      await applier.detach(record);
      log.info(factsOf(record), "finished a detach that was interrupted");
      return "undone";
    case "failed":
      await applier.undo(record);
      log.info(factsOf(record), "cleaned up after a failed attach");
      return "undone";
  }
}
