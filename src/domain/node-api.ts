import type { AttachmentState, Origin } from "./attachment.ts";
import type { Failure } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import type { NetworkSelection } from "./selection.ts";
import type { PodRef, Target } from "./target.ts";

/**
 * What one node's podplug can do, as one caller sees it. The engine and the
 * client library both implement it, so that a program can't tell whether it
 * holds the engine or a connection to it. Every failure is a PodplugError.
 *
 * `signal` stops the waiting, not a change that has begun: plugins that
 * started run to their end, and the record says how they ended.
 */
export interface NodeApi {
  /**
   * Attaches one network to a running target and resolves once the interface
   * is usable. Idempotent by (sandbox, interface) when an interface is named,
   * else by (sandbox, owner, key).
   */
  attach(request: AttachRequest, signal: AbortSignal): Promise<AttachAnswer>;
  /** Idempotent: `detached` is false when there was none. */
  detach(request: DetachRequest, signal: AbortSignal): Promise<DetachAnswer>;
  /** As the kernel has them now, without `lo`; of one target, or of the whole node. */
  list(request: ListRequest, signal: AbortSignal): Promise<readonly PodInterface[]>;
  /** The present attachments, `synced`, then every change, until `signal` aborts (a normal end). */
  watch(request: ListRequest, signal: AbortSignal): AsyncIterable<InterfaceEvent>;
  /** Resolves when the attachment is as it should be (CNI CHECK), else CHECK_FAILED. */
  check(request: CheckRequest, signal: AbortSignal): Promise<void>;
  info(signal: AbortSignal): Promise<NodeInfo>;
}

export interface AttachRequest {
  readonly target: Target;
  readonly network: NetworkSelection;
  /** Check all that can be checked, change nothing; the answer says what would be. */
  readonly validateOnly?: boolean | undefined;
  /** Who reconciles this attachment; the caller's name when absent. */
  readonly owner?: string | undefined;
  /** Names an unnamed selection among its owner's. */
  readonly key?: string | undefined;
  /** When the name is this owner's with other attributes: DEL and ADD as one change. */
  readonly replace?: boolean | undefined;
  /**
   * The interface is there already, plugged at the pod's creation by the
   * cluster's meta plugin: take it over as it is instead of attaching.
   * NOT_ADOPTABLE when that can't be. For podplug's reconcilers alone.
   */
  readonly adopt?: boolean | undefined;
}

export interface AttachAnswer {
  readonly interface: PodInterface;
  readonly created: boolean;
}

/** Which attachment of a target: by interface, by `name` or `namespace/name` of its network, or by ID. */
export type AttachmentChoice =
  | { readonly by: "interface"; readonly interface: string }
  | { readonly by: "network"; readonly network: string }
  | { readonly by: "id"; readonly attachmentId: string };

export interface DetachRequest {
  /** May be absent only when the attachment is chosen by its ID. */
  readonly target?: Target | undefined;
  readonly which: AttachmentChoice;
  /** Also when another owner made it. */
  readonly force?: boolean | undefined;
}

export interface DetachAnswer {
  readonly detached: boolean;
  /** What was detached, as it was recorded. */
  readonly interface?: PodInterface | undefined;
}

export interface ListRequest {
  readonly target?: Target | undefined;
  /** A list tells what each interface has carried, too. */
  readonly counters?: boolean | undefined;
}

export interface CheckRequest {
  readonly target: Target;
  readonly interface: string;
}

export interface NodeInfo {
  readonly nodeName: string;
  readonly version: string;
  /** `cri containerd 2.1.9`, `docker 28.5.2`, `netns`. */
  readonly runtime: string;
  readonly executor: string;
  readonly cniVersions: readonly string[];
}

/** What an interface has received and sent since it was made, as its pod sees it. */
export interface InterfaceCounters {
  readonly rxBytes: number;
  readonly txBytes: number;
  readonly rxPackets: number;
  readonly txPackets: number;
  readonly rxErrors: number;
  readonly txErrors: number;
  readonly rxDropped: number;
  readonly txDropped: number;
}

/** One interface in a pod: what the kernel says, joined with what is known of its attachment. */
export interface PodInterface {
  readonly pod?: PodRef | undefined;
  readonly sandboxId: string;
  readonly netns: string;
  readonly name: string;
  readonly mac: string;
  /** With prefix length. */
  readonly ips: readonly string[];
  readonly gateways: readonly string[];
  readonly mtu: number;
  readonly up: boolean;
  /** The kernel's index in the pod's namespace; 0 when the kernel has no such interface. */
  readonly index: number;
  /** When they were asked for; absent when the kernel has no such interface. */
  readonly counters?: InterfaceCounters | undefined;
  /** `namespace/name`, or a name alone; empty when no network attached it. */
  readonly network: string;
  readonly origin: Origin;
  /** Absent when the interface isn't an attachment. */
  readonly state?: AttachmentState | undefined;
  readonly attachedAt?: Date | undefined;
  readonly deviceId: string;
  readonly failure?: Failure | undefined;
  readonly attachmentId: string;
  readonly owner: string;
  readonly key: string;
  readonly selection?: NetworkSelection | undefined;
  /** What the plugins answered, in the form of the newest CNI version. */
  readonly cniResult?: JsonObject | undefined;
}

export type InterfaceEvent =
  | { readonly kind: "present" | "attached" | "detached" | "changed"; readonly interface: PodInterface }
  | { readonly kind: "synced" }
  | { readonly kind: "failed"; readonly interface: PodInterface; readonly failure: Failure };
