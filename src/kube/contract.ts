import type { Pod, PodKey } from "../domain/pod.ts";

/** The annotation that says which networks a pod wants (NPWG standard v1.3, section 4). */
export const networksAnnotation = "k8s.v1.cni.cncf.io/networks";

/** The annotation that tells a pod's networks (NPWG standard v1.3, section 5). */
export const networkStatusAnnotation = "k8s.v1.cni.cncf.io/network-status";

/** `changed`: look at the key again, by `PodFeed.get`. `synced`: all that there was at the start is told. */
export type PodEvent = { readonly kind: "changed"; readonly key: PodKey } | { readonly kind: "synced" };

/**
 * This node's pods as the API server last told them, kept up to date through
 * dropped connections, expired tokens and an API server that is away (it
 * retries by itself for ever, and meanwhile shows what it knew last). Pods
 * whose phase is Succeeded or Failed aren't there; host-network pods are: the
 * sandbox locator refuses those.
 */
export interface PodFeed {
  /** The latest known state; absent when there is no such pod, or it has finished. */
  get(key: PodKey): Pod | undefined;
  keys(): readonly PodKey[];
  /**
   * Whether a pod of this UID (the API server's) was there and isn't any more:
   * it has finished, or was deleted. Of those long gone it may be forgotten.
   */
  hasLeft(uid: string): boolean;
  /** Whether the first list is there: until then, absent means nothing. */
  isSynced(): boolean;
  /**
   * Level-triggered: every known pod, `synced` once the first list is there,
   * then each key that changed, came or went, until `signal` aborts or the
   * feed closes (normal ends). Changes of a key that wasn't taken yet become
   * one, so a slow reader holds at most one event a pod. Each call is a
   * reader of its own.
   */
  watch(signal: AbortSignal): AsyncIterable<PodEvent>;
}

/** Which pod, as it was last known, and what its network-status was when the new one was made from it. */
export interface StatusWrite {
  readonly pod: Pick<Pod, "namespace" | "name" | "uid" | "resourceVersion">;
  /** The annotation's text that `text` was made from; absent when the pod had none. */
  readonly before: string | undefined;
  /** The annotation's new text. */
  readonly text: string;
}

export type StatusAnswer =
  /** The pod has it now (also when it had it before). */
  | { readonly kind: "written"; readonly pod: Pod }
  /** Somebody else changed the annotation since: nothing was written. Start again from this pod, just read. */
  | { readonly kind: "conflict"; readonly pod: Pod }
  /** There is no such pod any more, or another one has its name. */
  | { readonly kind: "gone" };

/**
 * Writes one annotation, network-status, through `pods/status`: a patch,
 * guarded by the pod's UID and the annotation's earlier text, so that neither
 * another writer's work nor another field is ever overwritten. Failures:
 * UNREACHABLE (try again), PRIVILEGE_MISSING (the agent's account may not),
 * INVALID_REQUEST (the API server refuses the text), and the signal's.
 */
export interface PodStatusWriter {
  write(request: StatusWrite, signal: AbortSignal): Promise<StatusAnswer>;
}

export interface PodEventFacts {
  readonly type: "Normal" | "Warning";
  /** One word in CamelCase: `AddedInterface`. */
  readonly reason: string;
  /** At most 1024 bytes are kept. */
  readonly message: string;
}

/**
 * Tells a pod's users what happened to it, as Kubernetes events. Best effort:
 * returns at once, never throws, and logs what couldn't be written. The same
 * event again is counted on the first one; more than a pod's or the node's
 * share is dropped, never queued without bound.
 */
export interface EventRecorder {
  record(pod: Pick<Pod, "namespace" | "name" | "uid">, facts: PodEventFacts): void;
}

/** A NetworkAttachmentDefinition (k8s.cni.cncf.io/v1). */
export interface NetAttachDef {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** `spec.config`; empty when the configuration is on the node's disk. */
  readonly config: string;
}

/** A Network of Kaloom's: kind Network of kaloom.com/v1; its CRD is called networks.kaloom.com. */
export interface KaloomNetwork {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The plugin's type. */
  readonly plugin: string;
  /** JSON text of one plugin's configuration. */
  readonly config: string;
}

/**
 * Reads network definitions from the API server, each time anew. `undefined`
 * when there is none, or the cluster doesn't know the kind. Failures:
 * UNREACHABLE, PRIVILEGE_MISSING (the agent's account may not), INVALID_NETWORK
 * (there, but not of the form that its kind has), and the signal's.
 */
export interface DefinitionReader {
  netAttachDef(namespace: string, name: string, signal: AbortSignal): Promise<NetAttachDef | undefined>;
  kaloomNetwork(namespace: string, name: string, signal: AbortSignal): Promise<KaloomNetwork | undefined>;
}

/** A user as the API server knows one. */
export interface KubeUser {
  readonly name: string;
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

export type TokenVerdict =
  /** `audiences` are those asked for that the token is for; none, from an API server that doesn't know of audiences. */
  | { readonly authenticated: true; readonly user: KubeUser; readonly audiences: readonly string[] }
  | { readonly authenticated: false; readonly why: string };

/** One thing that a user may do or not. */
export interface ReviewedAccess {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string | undefined;
  /** Absent: of all namespaces, or of none. */
  readonly namespace?: string | undefined;
  /** Absent: all. */
  readonly name?: string | undefined;
}

/** A path that is no resource's, such as `/metrics`. */
export interface ReviewedPath {
  readonly verb: string;
  readonly path: string;
}

export interface AccessVerdict {
  readonly allowed: boolean;
  /** Whoever decided says why; may be empty. */
  readonly why: string;
}

/**
 * Asks the API server who a bearer token is (TokenReview) and what a user may
 * do (SubjectAccessReview), each time anew. Failures: UNREACHABLE,
 * PRIVILEGE_MISSING (the agent's account may not ask), and the signal's.
 */
export interface Reviewer {
  whoIs(token: string, audiences: readonly string[], signal: AbortSignal): Promise<TokenVerdict>;
  may(user: KubeUser, access: ReviewedAccess | ReviewedPath, signal: AbortSignal): Promise<AccessVerdict>;
}

/** What a Secret or a ConfigMap holds. */
export interface DataObject {
  readonly resourceVersion: string;
  /** Texts, decoded. */
  readonly data: Readonly<Record<string, string>>;
}

/** The Secrets or the ConfigMaps of one namespace. */
export interface DataObjects {
  /** Undefined when there is none. */
  read(name: string, signal: AbortSignal): Promise<DataObject | undefined>;
  /**
   * Sets these keys of the object that was read before, or of a new one where
   * there was none. UNREACHABLE when it isn't as it was.
   */
  write(
    name: string,
    data: Readonly<Record<string, string>>,
    before: DataObject | undefined,
    signal: AbortSignal,
  ): Promise<void>;
}
