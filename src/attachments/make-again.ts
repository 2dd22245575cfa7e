import { isReservedOwner } from "../domain/attachment.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import { type AttachmentRecord, asIntended } from "./journal.ts";
import { viewOf } from "./view.ts";

/**
 * Makes what isn't there any more again in its own namespace, from the record
 * alone and as the same attachment. When that fails, what isn't a reconciler's
 * waits for the next attempt. The sandbox's lane must be held.
 */
export async function makeAgain(
  record: AttachmentRecord,
  sandbox: Sandbox,
  { applier, feed, log }: Pick<EngineCore, "applier" | "feed" | "log">,
): Promise<void> {
  const intent = { ...asIntended(record), sandbox, restores: mustStay(record) };
  const { record: whole, link } = await applier.attach(intent);
  log.info(factsOf(whole), "made an attachment again");
  feed.publish({ kind: "attached", interface: viewOf(whole.sandbox, link, whole) });
}

/** A reconciler makes its own again by itself; nobody else's may be lost but by a detach. */
export function mustStay({ owner }: AttachmentRecord): true | undefined {
  return isReservedOwner(owner) ? undefined : true;
}
