import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import { createKubeAccess, type KubeLocation } from "./access.ts";
import { createApiClient } from "./api-client.ts";
import type { AgentPod, Cluster, ObjectKey, PlacedPod } from "./cluster-contract.ts";
import { metadataOf, stringsOf } from "./metadata.ts";
import { createPodAnnotations, type PodAnnotations } from "./pod-annotations.ts";
import { openForwardedPort } from "./port-forward.ts";

/** Of the API server that the kubeconfig or the pod names. INVALID_CONFIGURATION when there is none to be found. */
export async function openCluster(
  location: KubeLocation,
  clock: Clock,
): Promise<Cluster & { readonly annotations: PodAnnotations }> {
  const access = await createKubeAccess(location);
  const client = createApiClient({ access, clock, caller: "user" });

  /** What a path answers; undefined when there is nothing. */
  async function get(path: string, doing: string, signal: AbortSignal): Promise<unknown> {
    const { status, body } = await client.call({ path, doing, expected: [404] }, signal);
    return status === 404 ? undefined : body;
  }

  return {
    namespace: access.namespace,
    async pod(key, signal) {
      const found = await get(objectPath("pods", key), `reading pod ${nameOf(key)}`, signal);
      return found === undefined ? undefined : placedPodFrom(found);
    },
    async pods(namespace, signal) {
      const unfinished = encodeURIComponent("status.phase!=Succeeded,status.phase!=Failed");
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods?fieldSelector=${unfinished}`;
      return itemsOf(await get(path, `listing the pods of namespace ${namespace}`, signal)).map(
        placedPodFrom,
      );
    },
    async agents({ namespace, labels, nodeName }, signal) {
      const query = new URLSearchParams({
        labelSelector: labels,
        fieldSelector: [
          "status.phase=Running",
          ...(nodeName === undefined ? [] : [`spec.nodeName=${nodeName}`]),
        ].join(),
      });
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods?${query.toString()}`;
      return bestOfEachNode(
        itemsOf(await get(path, `listing podplug's agents in namespace ${namespace}`, signal)),
      );
    },
    async configValue(key, entry, signal) {
      const found = await get(objectPath("configmaps", key), `reading ConfigMap ${nameOf(key)}`, signal);
      return isJsonObject(found) ? stringsOf(found["data"])[entry] : undefined;
    },
    async requestToken({ account, audience, lifetimeSeconds }, signal) {
      const spec = { audiences: [audience], expirationSeconds: lifetimeSeconds };
      const doing = `requesting a token of service account ${nameOf(account)}`;
      const { status, body } = await client.call(
        {
          method: "POST",
          path: `${objectPath("serviceaccounts", account)}/token`,
          body: {
            type: "application/json",
            content: { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec },
          },
          doing,
          expected: [404],
        },
        signal,
      );
      if (status === 404) {
        throw new PodplugError("ACCOUNT_NOT_FOUND", `there is no service account ${nameOf(account)}`);
      }
      const { token, expirationTimestamp } = stringsOf(isJsonObject(body) ? body["status"] : undefined);
      if (!token || !expirationTimestamp)
        throw new PodplugError("INTERNAL", `${doing}: the answer can't be read`);
      return { token, expiresAt: new Date(expirationTimestamp) };
    },
    openPort: (pod, port) => openForwardedPort({ access, pod, port }),
    annotations: createPodAnnotations({ client }),
    [Symbol.dispose]: () => access[Symbol.dispose](),
  };
}

function nameOf({ namespace, name }: ObjectKey): string {
  return `${namespace}/${name}`;
}

function objectPath(resource: string, { namespace, name }: ObjectKey): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/${resource}/${encodeURIComponent(name)}`;
}

function itemsOf(list: unknown): readonly unknown[] {
  const items: unknown = isJsonObject(list) ? list["items"] : undefined;
  if (!Array.isArray(items)) throw new PodplugError("INTERNAL", "the API server's list can't be read");
  return items as unknown[];
}

function placedPodFrom(object: unknown): PlacedPod {
  const { namespace = "", name = "", uid = "" } = stringsOf(metadataOf(object));
  const { nodeName } = stringsOf(isJsonObject(object) ? object["spec"] : undefined);
  return { namespace, name, uid, nodeName: nodeName || undefined };
}

interface Candidate extends AgentPod {
  readonly isReady: boolean;
  readonly isEnding: boolean;
  readonly createdAt: string;
}

/** While a DaemonSet is rolled out a node may have two. */
function bestOfEachNode(pods: readonly unknown[]): readonly AgentPod[] {
  const best = new Map<string, Candidate>();
  for (const pod of pods) {
    const candidate = candidateFrom(pod);
    if (candidate === undefined) continue;
    const present = best.get(candidate.nodeName);
    if (present === undefined || isBetter(candidate, present)) best.set(candidate.nodeName, candidate);
  }
  return [...best.values()]
    .map(({ namespace, name, nodeName, address }) => ({ namespace, name, nodeName, address }))
    .sort((a, b) => (a.nodeName < b.nodeName ? -1 : 1));
}

function candidateFrom(object: unknown): Candidate | undefined {
  const { namespace, name, nodeName } = placedPodFrom(object);
  if (nodeName === undefined || !isJsonObject(object)) return undefined;
  const { creationTimestamp = "", deletionTimestamp } = stringsOf(metadataOf(object));
  const { status } = object;
  const conditions: unknown = isJsonObject(status) ? status["conditions"] : undefined;
  const ready = (Array.isArray(conditions) ? (conditions as unknown[]) : []).some(
    (condition) => isJsonObject(condition) && condition["type"] === "Ready" && condition["status"] === "True",
  );
  return {
    namespace,
    name,
    nodeName,
    address: stringsOf(status)["hostIP"] ?? "",
    isReady: ready,
    isEnding: deletionTimestamp !== undefined,
    createdAt: creationTimestamp,
  };
}

function isBetter(one: Candidate, other: Candidate): boolean {
  if (one.isEnding !== other.isEnding) return other.isEnding;
  if (one.isReady !== other.isReady) return one.isReady;
  return one.createdAt > other.createdAt;
}
