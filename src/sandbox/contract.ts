import type { PodRef, Target } from "../domain/target.ts";
import type { NetnsIdentity } from "../interfaces/contract.ts";

/** Where a target's interfaces live now. */
export interface Sandbox {
  /**
   * CNI_CONTAINERID, and what the engine serialises by: the runtime's sandbox
   * ID, or for a bare namespace a name made from its identity, so that two
   * paths to one namespace give one sandbox.
   */
  readonly id: string;
  readonly netnsPath: string;
  readonly netns: NetnsIdentity;
  /** The pod it belongs to, with its UID, when there is one. */
  readonly pod?: PodRef | undefined;
}

/**
 * Finds the sandbox behind a target. Failures: TARGET_NOT_FOUND (no such
 * thing on this node), UID_MISMATCH (a pod of this name, but not that one),
 * TARGET_INVALID (not a pod's namespace, the host's, or a kind of target this
 * runtime doesn't know), HOST_NETWORK, NAMESPACE_HIDDEN (another runtime than
 * runc keeps it), SANDBOX_NOT_READY (it exists but doesn't run), UNREACHABLE
 * (the runtime is away).
 */
export interface SandboxLocator {
  /** What runs here, for people: `netns`, `cri containerd 2.1.9`. */
  describe(signal: AbortSignal): Promise<string>;
  locate(target: Target, signal: AbortSignal): Promise<Sandbox>;
  /**
   * Every sandbox of this node that can be plugged into, but those that the
   * runtime can't tell of; UNREACHABLE only when it is away as a whole.
   */
  list(signal: AbortSignal): Promise<readonly Sandbox[]>;
}
