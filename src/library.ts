import process from "node:process";
import {
  type ClusterClientOptions as ClientOptions,
  type ClusterClient,
  createClusterClient as createClient,
} from "./client/cluster/cluster-client.ts";
import { createServiceTokens } from "./client/cluster/service-token.ts";
import { systemClock } from "./domain/clock.ts";
import { PodplugError } from "./domain/errors.ts";
import type { KubeLocation } from "./kube/access.ts";
import { openCluster } from "./kube/cluster.ts";
import type { ObjectKey } from "./kube/cluster-contract.ts";

/*
 * The package `podplug`: what programs of others import. The parts are put
 * together here as src/main.ts does for the program.
 */

export type { ClusterClient } from "./client/cluster/cluster-client.ts";
export type { TokenSource } from "./client/credentials.ts";
export { createNodeClient, type NodeClient, type NodeClientOptions } from "./client/node-client.ts";
export type { AttachmentState, Origin } from "./domain/attachment.ts";
export { type Failure, PodplugError } from "./domain/errors.ts";
export type { JsonObject, JsonValue } from "./domain/json.ts";
export type {
  AttachAnswer,
  AttachmentChoice,
  AttachRequest,
  CheckRequest,
  DetachAnswer,
  DetachRequest,
  InterfaceEvent,
  ListRequest,
  NodeApi,
  NodeInfo,
  PodInterface,
} from "./domain/node-api.ts";
export { type ErrorKind, isReason, type Reason } from "./domain/reasons.ts";
export type { Bandwidth, NetworkSelection, NetworkSource, PortMapping } from "./domain/selection.ts";
export type { PodRef, Target } from "./domain/target.ts";

/** Which API server tells where pods and agents are, and who asks it. */
export type KubeOptions =
  /** A pod's own service account. */
  | { readonly inCluster: true }
  /** `context`: in place of the file's current one. */
  | { readonly kubeconfig: string; readonly context?: string | undefined };

/**
 * How a cluster's agents are found, reached and recognised. Agents take a
 * token for audience `podplug` (`token`, `tokenFile`, or one requested of
 * `serviceAccount`), or a client certificate; never what `kube` has.
 */
export interface ClusterClientOptions extends Omit<ClientOptions, "cluster"> {
  readonly kube: KubeOptions;
  /** Request tokens of this account, where nothing else is given to show. It takes `create` on its `serviceaccounts/token`. */
  readonly serviceAccount?: ObjectKey | undefined;
}

/** A token's life; another one is requested before its end. */
const tokenLifetimeSeconds = 600;

/**
 * The agents of a whole cluster as one. Needs the package
 * `@kubernetes/client-node`. INVALID_CONFIGURATION when the options can't be
 * used together, or no API server is told by them.
 */
export async function createClusterClient(options: ClusterClientOptions): Promise<ClusterClient> {
  const { kube, serviceAccount: account, ...rest } = options;
  const isShown = [rest.token, rest.tokenFile, rest.clientCertFile].some((given) => given !== undefined);
  if (isShown && account !== undefined) {
    throw new PodplugError(
      "INVALID_CONFIGURATION",
      "a service account excludes a token and a client certificate",
    );
  }
  const cluster = await openCluster(locationOf(kube), systemClock);
  const lifetimeSeconds = tokenLifetimeSeconds;
  const requested = account && createServiceTokens({ cluster, account, lifetimeSeconds, clock: systemClock });
  const client = createClient({ ...rest, cluster, token: rest.token ?? requested });
  const close = async (): Promise<void> => {
    await client.close();
    cluster[Symbol.dispose]();
  };
  return { ...client, close, [Symbol.asyncDispose]: close };
}

function locationOf(kube: KubeOptions): KubeLocation {
  if ("kubeconfig" in kube) return { kind: "kubeconfig", path: kube.kubeconfig, context: kube.context };
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  if (host && port) return { kind: "in-cluster", host, port };
  throw new PodplugError(
    "INVALID_CONFIGURATION",
    "this isn't a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT aren't set",
  );
}
