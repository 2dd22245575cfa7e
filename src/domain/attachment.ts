/**
 * attaching: the record is durable, ADD may run.
 * attached:  ADD is complete.
 * detaching: DEL may run, or failed and is tried again.
 * failed:    ADD failed and so did its undoing; DEL is tried again.
 * waiting:   DEL is done, and it is attached again: to the pod's next sandbox when its own ended,
 *            or in its own, where making it again was interrupted or failed.
 */
export type AttachmentState = "attaching" | "attached" | "detaching" | "failed" | "waiting";

/** Who made an interface: podplug, or the pod's creation. */
export type Origin = "podplug" | "pod";

/** Owners that only podplug's own reconcilers may use. */
export function isReservedOwner(owner: string): boolean {
  return owner.startsWith("annotation/") || owner.startsWith("intent/");
}

/** Who is calling the engine: an authenticated name, and whether it is one of podplug's own reconcilers. */
export interface Caller {
  readonly name: string;
  readonly reconciler: boolean;
  /** Whether it could do all of this to the node without podplug: it holds the Unix socket. */
  readonly root?: boolean | undefined;
}
