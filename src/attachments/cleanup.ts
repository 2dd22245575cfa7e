import type { Logger } from "../domain/log.ts";
import { neverAborted } from "../domain/signals.ts";
import type { Applier } from "./apply.ts";
import { factsOf } from "./apply.ts";
import type { Feed } from "./feed.ts";
import type { AttachmentRecord } from "./journal.ts";
import { recordKey } from "./journal.ts";
import type { Lanes } from "./lanes.ts";
import type { RecordBook } from "./record-book.ts";
import type { Retries } from "./retries.ts";
import { viewOfDetached } from "./view.ts";

/** An applier after which nothing stays half removed: what its DEL leaves is tried again, for ever. */
export interface PersistentApplier {
  readonly applier: Applier;
  /** Tries now; its lane must be held. Does nothing when nothing of that name is left to clean up. */
  cleanUp(record: AttachmentRecord): Promise<void>;
}

export function persistent(
  plain: Applier,
  options: {
    readonly book: RecordBook;
    readonly lanes: Lanes;
    readonly feed: Feed;
    readonly retries: Retries;
    readonly log: Logger;
  },
): PersistentApplier {
  const { book, lanes, feed, retries, log } = options;

  function guarded<T>(change: (record: AttachmentRecord) => Promise<T>) {
    return async (record: AttachmentRecord): Promise<T> => {
      try {
        return await change(record);
      } finally {
        const left = book.get(record.sandbox.id, record.ifName);
        if (left && isUnfinished(left)) schedule(left);
      }
    };
  }
  const applier: Applier = {
    attach: guarded((record) => plain.attach(record)),
    detach: guarded((record) => plain.detach(record)),
    undo: guarded((record) => plain.undo(record)),
  };

  function schedule(record: AttachmentRecord): void {
    const { sandbox, ifName } = record;
    const postponedMs = (): number => book.get(sandbox.id, ifName)?.failure?.retryAfterMs ?? 0;
    const attempt = async (): Promise<boolean> => {
      try {
        await lanes.run(sandbox.id, () => cleanUp(record), neverAborted);
        return true;
      } catch (error) {
        log.warn({ ...factsOf(record), err: error }, "cleaning up failed; it is tried again");
        return false;
      }
    };
    retries.schedule(recordKey(record), attempt, postponedMs);
  }

  // By its name, not its ID: what a later attach of the same name left waits for the same timer.
  async function cleanUp({ sandbox, ifName }: AttachmentRecord): Promise<void> {
    const record = book.get(sandbox.id, ifName);
    if (!record || !isUnfinished(record)) return;
    await (record.state === "detaching" ? applier.detach(record) : applier.undo(record));
    feed.publish({ kind: "detached", interface: viewOfDetached(record) });
  }

  return { applier, cleanUp };
}

function isUnfinished({ state }: AttachmentRecord): boolean {
  return state !== "attached" && state !== "waiting";
}
