import { isIPv6 } from "node:net";
import type { CniResult } from "../cni/results.ts";
import { canonicalJson, type JsonObject } from "../domain/json.ts";
import { podInterface } from "../domain/names.ts";
import type { PodInterface } from "../domain/node-api.ts";
import { bareAddress, plainAddress } from "../domain/selection.ts";
import { attachedName, isComplete, isLost, resultOf } from "./attachments.ts";
import {
  interfaceOf,
  ipsOf,
  isDefault,
  macOf,
  networkOf,
  readStatus,
  type StatusEntry,
  writeStatus,
} from "./status-entries.ts";

export interface StatusInput {
  /** The annotation as it is; absent when the pod has none. */
  readonly text: string | undefined;
  /** All that the node says is in the pod. */
  readonly interfaces: readonly PodInterface[];
  /** KubeVirt renames and moves links: one that isn't there says nothing. */
  readonly isKubeVirt: boolean;
  /** What an entry for the pod's own network is called where none is there yet; without it none is made. */
  readonly defaultNetworkName: string | undefined;
  /** What the annotation may call attachments of ours that are there, or were when it was written. */
  readonly own: ReadonlySet<string>;
}

export type NextStatus =
  | { readonly kind: "unchanged" }
  | {
      readonly kind: "write";
      readonly text: string;
      /** Why the text that was there couldn't be kept. */
      readonly fault?: string | undefined;
    };

/**
 * What network-status is to say (NPWG standard v1.3, section 5; form and keys
 * as the network-attachment-definition client writes them): the default
 * network first, then what is there in its order with our attachments in
 * their places, then new ones. An attachment has an entry once its ADD is
 * complete. Somebody else's entry stays as it is, unless it names an interface
 * that the pod doesn't have. A pod without attachments keeps what it has.
 */
export function nextStatus(input: StatusInput): NextStatus {
  const { text, interfaces, isKubeVirt } = input;
  const present = readStatus(text);
  const before = present.kind === "entries" ? present.entries : [];
  const ours = interfaces
    .filter((each) => each.attachmentId !== "" && isComplete(each) && (isKubeVirt || !isLost(each)))
    .flatMap((each) => entriesOf(each).map((entry) => ({ entry, isAdopted: each.origin === "pod" })));
  const kept = keepPlaces(before, ours, (entry) => isStale(entry, input));
  const entries = defaultFirst(ours.length > 0 ? withDefault(kept, input) : kept);
  // What nobody can read is left alone until there is something to say.
  if (present.kind === "malformed") {
    return ours.length > 0
      ? { kind: "write", text: writeStatus(entries), fault: present.fault }
      : { kind: "unchanged" };
  }
  const isTouched = ours.length > 0 || kept.length < before.length;
  if (!isTouched || canonicalJson(entries) === canonicalJson(before)) return { kind: "unchanged" };
  return { kind: "write", text: writeStatus(entries) };
}

interface OwnEntry {
  readonly entry: StatusEntry;
  readonly isAdopted: boolean;
}

function keepPlaces(
  before: readonly StatusEntry[],
  ours: readonly OwnEntry[],
  isGone: (entry: StatusEntry) => boolean,
): readonly StatusEntry[] {
  const waiting = new Map(ours.map((own) => [interfaceOf(own.entry), own]));
  const names = new Set(waiting.keys());
  const kept = before.flatMap((entry) => {
    const name = interfaceOf(entry);
    if (!names.has(name)) return isGone(entry) ? [] : [entry];
    const own = waiting.get(name);
    waiting.delete(name);
    if (!own) return [];
    return own.isAdopted && saysTheSame(entry, own.entry) ? [entry] : [own.entry];
  });
  return [...kept, ...[...waiting.values()].map(({ entry }) => entry)];
}

/** Of an adopted attachment the entry stays as the meta plugin wrote it, unless it is wrong. */
function saysTheSame(theirs: StatusEntry, ours: StatusEntry): boolean {
  return (
    networkOf(theirs) === networkOf(ours) &&
    macOf(theirs) === macOf(ours) &&
    ipsOf(theirs).map(plainAddress).join() === ipsOf(ours).map(plainAddress).join()
  );
}

/**
 * An entry for an interface that isn't there. One with a device may have no
 * link by its nature, and any on a pod of KubeVirt's, whose dummies say nothing
 * either: there only what was ours is known to be gone.
 */
function isStale(entry: StatusEntry, { interfaces, isKubeVirt, own }: StatusInput): boolean {
  const name = interfaceOf(entry);
  if (name === "" || isDefault(entry)) return false;
  const isThere = interfaces.some((each) => each.name === name && each.attachmentId === "");
  if (own.has(name)) return isKubeVirt || !isThere;
  return !isThere && !isKubeVirt && entry["device-info"] === undefined;
}

function withDefault(
  entries: readonly StatusEntry[],
  { interfaces, defaultNetworkName }: StatusInput,
): readonly StatusEntry[] {
  const own = interfaces.find((each) => each.name === podInterface && each.attachmentId === "");
  if (!own || defaultNetworkName === undefined || entries.some(isDefault)) return entries;
  if (entries.some((entry) => interfaceOf(entry) === own.name)) return entries;
  const entry = compact({
    name: defaultNetworkName,
    interface: own.name,
    ips: own.ips.map(bareAddress).filter((ip) => !isLinkLocal(ip)),
    mac: own.mac,
    mtu: own.mtu,
    default: true,
    dns: {},
  });
  return [entry, ...entries];
}

function defaultFirst(entries: readonly StatusEntry[]): readonly StatusEntry[] {
  return [...entries.filter(isDefault), ...entries.filter((entry) => !isDefault(entry))];
}

/** One entry for each interface that the plugins put into the pod, and one for an attachment without any. */
function entriesOf(attachment: PodInterface): readonly StatusEntry[] {
  const result = resultOf(attachment);
  const made = [...(result?.interfaces ?? []).entries()].filter(([, { sandbox }]) => sandbox);
  const common = {
    dns: dnsOf(result),
    "device-info": deviceInfoOf(attachment, result),
    gateway: defaultGatewaysOf(result),
  };
  if (made.length === 0) {
    return [
      compact({
        name: attachment.network,
        interface: attachedName(attachment),
        // Of what a meta plugin plugged without keeping ADD's answer, the kernel knows.
        ips: result
          ? (result.ips ?? []).map(({ address }) => bareAddress(address))
          : attachment.ips.map(bareAddress).filter((ip) => !isLinkLocal(ip)),
        mac: attachment.mac,
        mtu: attachment.mtu,
        ...common,
      }),
    ];
  }
  const last = made.at(-1)?.[0];
  return made.map(([index, link]) => {
    const isMain = link.name === attachedName(attachment);
    const mtu = typeof link["mtu"] === "number" ? link["mtu"] : 0;
    return compact({
      name: attachment.network,
      interface: link.name ?? "",
      // An address that says no interface belongs to the only or the last one.
      ips: (result?.ips ?? [])
        .filter((ip) => made.length === 1 || (ip.interface ?? last) === index)
        .map(({ address }) => bareAddress(address)),
      mac: link.mac || (isMain ? attachment.mac : ""),
      mtu: mtu || (isMain ? attachment.mtu : 0),
      ...common,
    });
  });
}

function dnsOf(result: CniResult | undefined): JsonObject {
  const { nameservers, domain, search, options } = result?.dns ?? {};
  return Object.fromEntries(
    Object.entries({ nameservers, domain, search, options }).filter(
      ([, value]) => value !== undefined && value !== null && value !== "" && !isEmptyList(value),
    ),
  ) as JsonObject;
}

/** Device-info of a PCI device (device-info specification 1.1.0); other kinds aren't known here. */
function deviceInfoOf(attachment: PodInterface, result: CniResult | undefined): JsonObject | undefined {
  const answered = result?.interfaces
    ?.map((link) => link["pciID"])
    .find((id) => typeof id === "string" && id);
  const address = attachment.deviceId || (typeof answered === "string" ? answered : "");
  if (!/^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i.test(address)) return undefined;
  return { type: "pci", version: "1.1.0", pci: { "pci-address": address } };
}

function defaultGatewaysOf(result: CniResult | undefined): readonly string[] {
  return (result?.routes ?? [])
    .filter(({ dst }) => dst === "0.0.0.0/0" || (dst.endsWith("/0") && isIPv6(bareAddress(dst))))
    .flatMap(({ gw }) => gw || []);
}

/** The entry without what is empty, as omitempty leaves it; but `name` and `dns` are always told. */
function compact(entry: Readonly<Record<string, unknown>>): StatusEntry {
  return Object.fromEntries(
    Object.entries(entry).filter(
      ([key, value]) =>
        key === "name" ||
        key === "dns" ||
        !(value === undefined || value === "" || value === 0 || isEmptyList(value)),
    ),
  ) as StatusEntry;
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}

function isLinkLocal(ip: string): boolean {
  return /^fe[89ab]/i.test(ip);
}
