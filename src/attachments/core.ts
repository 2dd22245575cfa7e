import type { CachedAttachments } from "../cni/cached-attachments.ts";
import type { DeviceAllocations } from "../devices/contract.ts";
import type { Caller } from "../domain/attachment.ts";
import type { Clock } from "../domain/clock.ts";
import type { Logger } from "../domain/log.ts";
import type { AttachRequest } from "../domain/node-api.ts";
import type { PodRef } from "../domain/target.ts";
import type { Telemetry } from "../domain/telemetry.ts";
import type { Executor } from "../executor/contract.ts";
import type { DefaultRoutes, InterfaceEvents, InterfaceReader } from "../interfaces/contract.ts";
import type { NetworkCatalog } from "../networks/contract.ts";
import type { Sandbox, SandboxLocator } from "../sandbox/contract.ts";
import type { Applier } from "./apply.ts";
import type { Feed } from "./feed.ts";
import type { Gate } from "./gate.ts";
import type { AttachmentJournal, AttachmentRecord } from "./journal.ts";
import type { Lanes } from "./lanes.ts";
import type { Namespaces } from "./namespaces.ts";
import type { IfNaming, Wish } from "./plan.ts";
import type { RecordBook } from "./record-book.ts";

/**
 * What the API server says of a pod: `ending` from its deletionTimestamp on,
 * and once it has finished or was deleted by force, while its sandbox may live
 * on (nothing new is plugged into it); `gone` when it tells of none of this UID;
 * `unknown` without an API server, and before it told.
 */
export type PodLife = "living" | "ending" | "gone" | "unknown";

export interface EngineOptions {
  readonly nodeName: string;
  readonly version: string;
  readonly journal: AttachmentJournal;
  readonly sandboxes: SandboxLocator;
  readonly networks: NetworkCatalog;
  readonly executor: Executor;
  readonly interfaces: InterfaceReader & DefaultRoutes;
  readonly interfaceEvents: InterfaceEvents;
  readonly devices: DeviceAllocations;
  /** What other runtimes of the node attached. */
  readonly cached: CachedAttachments;
  /** What the cluster's own network is called; undefined when the node doesn't tell. */
  readonly defaultNetworkName: () => Promise<string | undefined>;
  /** How many plugin chains may run at once. */
  readonly maxConcurrent: number;
  /** How long one network's plugins may take, for each verb afresh. */
  readonly timeoutMs: number;
  readonly ifNaming: IfNaming;
  readonly podLife: (pod: PodRef) => PodLife;
  /** Whether links that vanished are made again in it: a pod, or a bare namespace. */
  readonly heals: (pod: PodRef | undefined) => boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly telemetry?: Telemetry | undefined;
}

/** One attach, in its sandbox's lane. */
export interface AttachWork {
  readonly caller: Caller;
  readonly request: AttachRequest;
  readonly wish: Wish;
  readonly sandbox: Sandbox;
}

/** What the engine's parts share. */
export interface EngineCore extends EngineOptions {
  readonly book: RecordBook;
  readonly lanes: Lanes;
  readonly gate: Gate;
  readonly feed: Feed;
  readonly namespaces: Namespaces;
  readonly applier: Applier;
  /** Detaches what ended with the namespace that a sandbox had. Its lane must be held. */
  readonly endSandbox: (sandbox: Sandbox) => Promise<void>;
  /** Cleans up after a record whose DEL failed, or did not come to run. Its lane must be held. */
  readonly cleanUp: (record: AttachmentRecord) => Promise<void>;
  /** Whether the engine drains: what begins now would outlive its parts. */
  readonly isStopping: () => boolean;
  /** Throws AGENT_STOPPING once the engine drains. */
  readonly refuseWhenStopping: () => void;
}
