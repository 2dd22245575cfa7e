import type { Caller } from "../domain/attachment.ts";
import { isReservedOwner } from "../domain/attachment.ts";
import type { AttachmentRecord } from "./journal.ts";

/**
 * Who may take an attachment away: its owner, whoever asked for it under an
 * owner's name, and the reconcilers for what is theirs. To give an owner's
 * name isn't enough: anybody can.
 */
export function mayRemove(caller: Caller, record: AttachmentRecord): boolean {
  if (caller.reconciler) return isReservedOwner(record.owner);
  return record.owner === caller.name || record.caller === caller.name;
}
