import type { PodInterface } from "../domain/node-api.ts";
import { bareAddress, type NetworkSelection, plainAddress } from "../domain/selection.ts";
import { attachedName, madeNames } from "./attachments.ts";
import {
  interfaceOf,
  ipsOf,
  isDefault,
  macOf,
  networkOf,
  type StatusEntry,
  wholeName,
} from "./status-entries.ts";
import type { Step, StepsInput } from "./steps.ts";
import type { WantedSelection } from "./wanted.ts";

/**
 * Which wanted selections the cluster's meta plugin met at the pod's creation,
 * as network-status tells: by name, and what names leave over by network. Where
 * names tell, a link does as well as an entry.
 */
export function matchColdPlugged({
  wanted,
  status,
  interfaces,
  podNamespace,
  namesTell,
  isKubeVirt,
}: StepsInput): ReadonlyMap<WantedSelection, StatusEntry> {
  const matches = new Map<WantedSelection, StatusEntry>();
  // A name of ours may be another link's by now: KubeVirt puts dummies under them.
  const ours = new Set(
    interfaces
      .filter(({ attachmentId }) => attachmentId !== "")
      .flatMap((each) => [attachedName(each), each.name, ...madeNames(each)]),
  );
  const links = new Set(interfaces.map(({ name }) => name));
  const free = new Set(
    status.filter((entry) => {
      const name = interfaceOf(entry);
      if (name === "" || isDefault(entry) || ours.has(name)) return false;
      // Without a link it may be an earlier sandbox's, unless its device says why there is none.
      return links.has(name) || entry["device-info"] !== undefined;
    }),
  );
  const take = (each: WantedSelection, isOne: (entry: StatusEntry) => boolean): void => {
    if (matches.has(each)) return;
    const found = [...free].find(
      (entry) => wholeName(networkOf(entry), podNamespace) === each.network && isOne(entry),
    );
    if (!found) return;
    matches.set(each, found);
    free.delete(found);
  };
  for (const each of wanted) take(each, (entry) => interfaceOf(entry) === each.selection.interface);
  for (const each of wanted) if (each.selection.interface === undefined) take(each, () => true);
  // KubeVirt puts other links under names.
  if (!namesTell || isKubeVirt) return matches;
  for (const each of wanted) {
    const link = interfaces.find(({ name }) => name === each.selection.interface);
    if (link?.attachmentId === "" && !matches.has(each)) matches.set(each, entryOf(each, link));
  }
  return matches;
}

function entryOf({ network }: WantedSelection, { name, mac, ips }: PodInterface): StatusEntry {
  return { name: network, interface: name, mac, ips: ips.map(bareAddress) };
}

/**
 * The first look at what the pod was created with takes it over, so that it is
 * known for ours when its selection leaves the annotation, also while nobody
 * looks. Without a link there is nothing to know it by, and it stays.
 */
export function adoption(
  { network, key, selection }: WantedSelection,
  entry: StatusEntry,
  interfaces: readonly PodInterface[],
): readonly Step[] {
  const ifName = interfaceOf(entry);
  if (!interfaces.some(({ name }) => name === ifName)) return [];
  const wanted = { ...selection, interface: ifName };
  if (isAsAskedFor(selection, entry)) return [{ kind: "adopt", network, selection: wanted, key }];
  // The annotation asked for something else when the pod was made.
  const { name, namespace } = selection;
  return [
    { kind: "adopt", network, selection: { name, namespace, interface: ifName }, key },
    { kind: "attach", network, selection: wanted, key, replace: true },
  ];
}

/** As far as the status tells. */
function isAsAskedFor({ ips = [], mac }: NetworkSelection, entry: StatusEntry): boolean {
  const has = ipsOf(entry).map(plainAddress);
  return ips.every((ip) => has.includes(plainAddress(ip))) && (mac === undefined || mac === macOf(entry));
}
