import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { NetworksEdit, PodNetworks } from "./cluster-contract.ts";
import { networkStatusAnnotation, networksAnnotation } from "./contract.ts";
import { addNetwork, type NetworkName, readNetworkName, removeNetwork } from "./edit-networks.ts";
import type { PodAnnotations } from "./pod-annotations.ts";

export function createPodNetworks({ annotations }: { readonly annotations: PodAnnotations }): PodNetworks {
  return {
    async edit({ kind, pod, network: text }, signal) {
      const network = readNetworkName(text);
      const edited = kind === "add" ? addNetwork : removeNetwork;
      const shown = async (leave: AbortSignal): Promise<readonly JsonObject[]> =>
        entriesOf((await annotations.read(pod, leave))[networkStatusAnnotation], network, pod.namespace);
      const before = (await shown(signal)).length;
      const changed = await annotations.edit(
        pod,
        networksAnnotation,
        (annotation) => edited(annotation, network, pod.namespace),
        signal,
      );
      return {
        changed,
        isFollowed: async (leave) => !changed || isFollowed(await shown(leave), { kind, network, before }),
      };
    },
  };
}

/** Others may have plugged the same network: without a name it is the number that tells. */
function isFollowed(
  shown: readonly JsonObject[],
  { kind, network, before }: Pick<NetworksEdit, "kind"> & { network: NetworkName; before: number },
): boolean {
  if (network.interface !== undefined) {
    return shown.some((entry) => entry["interface"] === network.interface) === (kind === "add");
  }
  return kind === "add" ? shown.length > before : shown.length < before || shown.length === 0;
}

/** The network's, of network-status; none of a text that can't be read, which its next writer puts right. */
function entriesOf(
  status: string | undefined,
  { namespace, name }: NetworkName,
  podNamespace: string,
): readonly JsonObject[] {
  let value: unknown;
  try {
    value = JSON.parse(status ?? "[]");
  } catch {
    return [];
  }
  const entries = (Array.isArray(value) ? (value as unknown[]) : []).filter(isJsonObject);
  return entries.filter((entry) => entry["name"] === `${namespace ?? podNamespace}/${name}`);
}
