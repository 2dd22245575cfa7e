import { type CniResult, toNewestResult } from "../cni/results.ts";
import type { PodInterface } from "../domain/node-api.ts";

/** What the plugins answered; absent until they did. */
export function resultOf(attachment: PodInterface): CniResult | undefined {
  return attachment.cniResult && toNewestResult(attachment.cniResult);
}

/** The name that ADD gave it, whatever the link is called now. */
export function attachedName(attachment: PodInterface): string {
  return attachment.selection?.interface || madeNames(attachment)[0] || attachment.name;
}

/** Every name that its ADD made in the pod; none before that is known. */
export function madeNames(attachment: PodInterface): readonly string[] {
  const links = resultOf(attachment)?.interfaces ?? [];
  return links.flatMap(({ name, sandbox }) => (name && sandbox ? [name] : []));
}

/** Every name that network-status may have for it: none unless its ADD was complete once. */
export function namesInStatus(attachment: PodInterface): readonly string[] {
  if (attachment.attachedAt === undefined) return [];
  return [...new Set([attachedName(attachment), ...madeNames(attachment)])];
}

/** Whether ADD is complete: the state says so, or it was and the link isn't what ADD left. */
export function isComplete(attachment: PodInterface): boolean {
  return attachment.state === "attached" || isDrifted(attachment);
}

/**
 * Whether a look found that its link isn't there any more. A plugin's failed
 * CHECK, which names the plugin, says no such thing: a device has no link from
 * its ADD on.
 */
export function isLost(attachment: PodInterface): boolean {
  return isDrifted(attachment) && attachment.index === 0 && attachment.failure?.plugin === undefined;
}

/** Whether it isn't as ADD left it. */
export function isDrifted({ state, failure, attachedAt }: PodInterface): boolean {
  return state === "failed" && failure?.reason === "CHECK_FAILED" && attachedAt !== undefined;
}
