import type { Duplex } from "node:stream";

export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

/** A pod and where it runs. */
export interface PlacedPod extends ObjectKey {
  readonly uid: string;
  /** Absent until it is scheduled. */
  readonly nodeName?: string | undefined;
}

/** A pod of podplug's DaemonSet that runs. */
export interface AgentPod extends ObjectKey {
  readonly nodeName: string;
  /** Its node's. */
  readonly address: string;
}

export interface ServiceToken {
  readonly token: string;
  readonly expiresAt: Date;
}

/**
 * What a user of the cluster, not an agent, asks the API server for, with the
 * user's own rights. Failures: UNREACHABLE, UNAUTHENTICATED, DENIED,
 * INVALID_REQUEST, and the signal's.
 */
export interface Cluster extends Disposable {
  /** Where the user is when they say nothing else. */
  readonly namespace: string;
  pod(key: ObjectKey, signal: AbortSignal): Promise<PlacedPod | undefined>;
  /** Those of a namespace that haven't finished. */
  pods(namespace: string, signal: AbortSignal): Promise<readonly PlacedPod[]>;
  /** One for each node, of the pods with these labels: the ready and newer one where there are several. */
  agents(
    where: { readonly namespace: string; readonly labels: string; readonly nodeName?: string | undefined },
    signal: AbortSignal,
  ): Promise<readonly AgentPod[]>;
  /** A value of a ConfigMap; undefined when there is none. */
  configValue(key: ObjectKey, entry: string, signal: AbortSignal): Promise<string | undefined>;
  /** A token (TokenRequest) that is good for this audience alone. ACCOUNT_NOT_FOUND without the account. */
  requestToken(
    request: { readonly account: ObjectKey; readonly audience: string; readonly lifetimeSeconds: number },
    signal: AbortSignal,
  ): Promise<ServiceToken>;
  /**
   * A connection to a port of a pod, through the API server. It opens by
   * itself; why it couldn't, or ended too early, is the stream's error.
   */
  openPort(pod: ObjectKey, port: number): Duplex;
}

/** With what a user may do without podplug's agents. */
export interface AnnotatedCluster extends Cluster {
  readonly networks: PodNetworks;
}

/** A change to what a pod's annotation asks for. */
export interface NetworksEdit {
  readonly kind: "add" | "del";
  readonly pod: ObjectKey;
  /** `[NAMESPACE/]NETWORK[@INTERFACE]` */
  readonly network: string;
}

export interface NetworksEdited {
  /** False when there was nothing to take away. */
  readonly changed: boolean;
  /** Whether the pod's network-status shows it by now. TARGET_NOT_FOUND when the pod has gone. */
  isFollowed(signal: AbortSignal): Promise<boolean>;
}

/**
 * Edits a pod's annotation of networks in the form that it has, and nothing
 * else of the pod: what others write there meanwhile stays. TARGET_NOT_FOUND;
 * INVALID_SELECTION for a name, or an annotation, that can't be read;
 * INTERFACE_IN_USE when it asks for that already, INVALID_REQUEST when it
 * asks for what is to go more than once.
 */
export interface PodNetworks {
  edit(edit: NetworksEdit, signal: AbortSignal): Promise<NetworksEdited>;
}
