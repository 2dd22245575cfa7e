import { isReservedOwner } from "../domain/attachment.ts";
import { failureOf } from "../domain/errors.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import { type AttachmentRecord, asIntended } from "./journal.ts";
import { viewOf } from "./view.ts";

/** A failing plugin's own links come and go, which the kernel tells of: none of that may have it run at once. */
const pauseMs = 30_000;

/**
 * Makes a link that vanished from a living namespace again, from the record
 * alone and as the same attachment: DEL and ADD, as one change. What belongs to
 * a reconciler that one heals. The sandbox's lane must be held. What its plugins
 * fail with is logged, and the next look tries again; what can't even be undone
 * is made again once it could be (make-again.ts).
 */
export function createHeal(core: EngineCore) {
  const { applier, book, feed, clock, log } = core;
  /** When one that failed may be tried again, by its ID. */
  const notBeforeMs = new Map<string, number>();

  function mayHeal({ id, owner, sandbox: { pod } }: AttachmentRecord): boolean {
    if (isReservedOwner(owner) || core.isStopping() || !core.heals(pod)) return false;
    if (clock.steadyMs() < (notBeforeMs.get(id) ?? 0)) return false;
    const life = pod && core.podLife(pod);
    return life !== "ending" && life !== "gone";
  }

  return async function heal(record: AttachmentRecord): Promise<void> {
    if (!mayHeal(record)) return;
    try {
      const { record: whole, link } = await applier.attach({
        ...asIntended(record),
        replaces: record.chain,
        restores: true,
      });
      notBeforeMs.delete(record.id);
      log.info(factsOf(whole), "made a link again that had vanished");
      feed.publish({ kind: "changed", interface: viewOf(whole.sandbox, link, whole) });
    } catch (error) {
      for (const id of notBeforeMs.keys()) if (!book.byId(id)) notBeforeMs.delete(id);
      notBeforeMs.set(record.id, clock.steadyMs() + pauseMs);
      const failure = failureOf(error);
      log.warn(
        { ...factsOf(record), reason: failure.reason, err: error },
        "healing failed; it is tried again",
      );
      // Nothing of it is there now: what is shown is the attachment that the next look heals, and why this one didn't.
      const left = book.get(record.sandbox.id, record.ifName);
      if (left?.state === "waiting") await book.write({ ...record, failure });
    }
  };
}
