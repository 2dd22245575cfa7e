import type { IntentEndpoint, IntentNetwork, ReadIntent } from "../../contiv/intent.ts";
import type { IntentFile } from "../../contiv/intent-file.ts";
import { uplinkOf } from "../../contiv/uplink.ts";
import { canonicalJson } from "../../domain/json.ts";
import { type Pod, type PodKey, podKeyOf } from "../../domain/pod.ts";
import { type NetworkSelection, normalizeSelection } from "../../domain/selection.ts";
import type { Asked, SelectionSource } from "../source.ts";
import { keyed, wantsNothing } from "../wanted.ts";

export interface ContivSourceOptions {
  readonly file: IntentFile;
  /** This node among the intent's Hosts. */
  readonly hostName: string;
  /** This node's pods. */
  readonly podKeys: () => readonly PodKey[];
}

export interface ContivSource extends SelectionSource {
  read(pod: Pick<Pod, "namespace" | "name">): Asked;
}

/** What a valid intent asks for, by the pod's name. */
type Wishes = ReadonlyMap<string, readonly NetworkSelection[]>;

/**
 * Contiv's intent: a pod gets an interface in each network that has an
 * endpoint of its name, whatever its namespace, as contiv had it. Two pods of
 * that name on the node would have one address: then nothing changes for
 * either. So it is, too, while the file can't be used.
 */
export function createContivSource({ file, hostName, podKeys }: ContivSourceOptions): ContivSource {
  let last: { readonly read: ReadIntent; readonly wishes: Wishes } | undefined;

  /** Of the last valid intent when the present one isn't. */
  function look(): { readonly read: ReadIntent; readonly wishes: Wishes } {
    const read = file.current();
    if (last?.read !== read) {
      const wishes = read.kind === "valid" ? wishesOf(read, hostName) : (last?.wishes ?? new Map());
      last = { read, wishes };
    }
    return last;
  }

  function readPod(pod: Pick<Pod, "namespace" | "name">): Asked {
    const { read, wishes } = look();
    const selections = wishes.get(pod.name);
    if (read.kind === "invalid") {
      const [first, ...others] = read.faults;
      const more = others.length > 0 ? ` (and ${others.length} more)` : "";
      return { kind: "undecided", fault: selections && `it can't be used: ${first}${more}` };
    }
    if (!selections) return wantsNothing;
    const namesake = podKeys().find((key) => isNamesake(key, podKeyOf(pod)));
    if (namesake === undefined) return keyed(selections, pod.namespace);
    return { kind: "undecided", fault: `it is for one pod of this name, and pod ${namesake} has it too` };
  }

  return {
    name: `intent ${file.path}`,
    owner: "intent/contiv",
    namesTell: false,
    read: readPod,
    wishOf: (pod) => canonicalJson(readPod(pod)),
    concerns: (key) => podKeys().filter((each) => isNamesake(each, key)),
    changes: (signal) => file.changes(signal),
  };
}

function isNamesake(key: PodKey, other: PodKey): boolean {
  return key !== other && key.split("/")[1] === other.split("/")[1];
}

function wishesOf({ intent }: ReadIntent & { kind: "valid" }, hostName: string): Wishes {
  const wishes = new Map<string, NetworkSelection[]>();
  for (const network of intent.networks) {
    const uplink = uplinkOf(network, intent, hostName);
    const wire = uplink.kind === "possible" ? uplink.own : uplink.why;
    for (const endpoint of network.endpoints) {
      if (endpoint.host !== undefined && endpoint.host !== hostName) continue;
      const selections = wishes.get(endpoint.container) ?? [];
      selections.push(selectionOf(network, endpoint, wire));
      wishes.set(endpoint.container, selections);
    }
  }
  return wishes;
}

/** It tells all that makes the interface what it is, so that it is made anew when any of that changes. */
function selectionOf(
  { tenant, name, gateway }: IntentNetwork,
  { address }: IntentEndpoint,
  wire: string,
): NetworkSelection {
  const about = gateway === undefined ? wire : `${wire} gateway ${gateway}`;
  return normalizeSelection({
    name,
    namespace: tenant,
    ips: [address],
    cniArgs: { contiv: about },
    source: "contiv",
  });
}
