import type { PodRef } from "../domain/target.ts";

/** A sandbox as its runtime lists it. */
export interface ListedSandbox {
  readonly id: string;
  /** With its UID, which for a static pod is its config hash; nothing for a container outside Kubernetes. */
  readonly pod?: (PodRef & { readonly uid: string }) | undefined;
  readonly ready: boolean;
  /** Grows from one sandbox to the next, in the runtime's own unit. */
  readonly createdAt: bigint;
}

/** What the runtime tells of one sandbox when asked for everything. */
export interface SandboxLook extends ListedSandbox {
  readonly hostNetwork: boolean;
  /** Paths to its network namespace, the most lasting first; empty when the runtime tells none. */
  readonly netnsPaths: readonly string[];
  /** What runs it, by the names that the runtime has for that: `runc`, `kata-qemu`, `io.containerd.runsc.v1`. */
  readonly handlers: readonly string[];
}

/**
 * What is asked of a container runtime, in the words that all of them share.
 * Failures: UNREACHABLE when it is away, doesn't answer in time or answers
 * with an error; UNSUPPORTED when it doesn't speak the interface.
 */
export interface Runtime {
  /** Name and version, for people. */
  describe(signal: AbortSignal): Promise<string>;
  /** The sandboxes that a pod of this name has or had, ready or not, of whatever UID. */
  listOfPod(pod: PodRef, signal: AbortSignal): Promise<readonly ListedSandbox[]>;
  /** Every sandbox that is ready and could be plugged into. */
  listReady(signal: AbortSignal): Promise<readonly ListedSandbox[]>;
  /** Whether it still is. Cheaper than a look. */
  isReady(sandboxId: string, signal: AbortSignal): Promise<boolean>;
  look(sandboxId: string, signal: AbortSignal): Promise<SandboxLook | undefined>;
  /** The sandbox that a container (or a sandbox) of this ID lives in. */
  sandboxIdOf(containerId: string, signal: AbortSignal): Promise<string | undefined>;
}
