import { type CniResult, toNewestResult } from "../cni/results.ts";
import type { PodInterface } from "../domain/node-api.ts";

/** Every sandbox interface's part of what the plugins answered; none for a result without kernel interfaces. */
export function resultOf(attachment: PodInterface): CniResult | undefined {
  return attachment.cniResult && toNewestResult(attachment.cniResult);
}

/** The name that ADD gave it, whatever the link is called now. */
export function attachedName(attachment: PodInterface): string {
  const made = resultOf(attachment)?.interfaces?.find(({ sandbox }) => sandbox)?.name;
  return attachment.selection?.interface || made || attachment.name;
}

/** Whether ADD is complete: the state says so, or it was and the link isn't what ADD left. */
export function isComplete(attachment: PodInterface): boolean {
  return attachment.state === "attached" || isDrifted(attachment);
}

/** Whether its link, of which ADD answered the index, isn't there any more. */
export function isLost(attachment: PodInterface): boolean {
  return isDrifted(attachment) && attachment.index === 0;
}

function isDrifted({ state, failure, attachedAt }: PodInterface): boolean {
  return state === "failed" && failure?.reason === "CHECK_FAILED" && attachedAt !== undefined;
}
