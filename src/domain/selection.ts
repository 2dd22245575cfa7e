import { isIP, isIPv4, isIPv6, SocketAddress } from "node:net";
import { PodplugError } from "./errors.ts";
import type { JsonObject } from "./json.ts";
import { isCniName, isInterfaceName, isObjectName } from "./names.ts";

export const networkSources = ["netAttachDef", "kaloom", "directory", "inline", "contiv"] as const;
export type NetworkSource = (typeof networkSources)[number];

/**
 * One network selection element of the Network Plumbing Working Group's
 * standard (v1.3, section 4.1.2.1), with what podplug adds: `config`, `source`
 * and Multus' `deviceId`. An absent key and an empty one mean the same.
 */
export interface NetworkSelection {
  /** The network's name; absent when `config` is given. */
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  /** Chosen by the node when absent. */
  readonly interface?: string | undefined;
  /** Addresses, with or without prefix length. */
  readonly ips?: readonly string[] | undefined;
  readonly mac?: string | undefined;
  readonly defaultRoute?: { readonly gateways: readonly string[] } | undefined;
  readonly cniArgs?: JsonObject | undefined;
  readonly bandwidth?: Bandwidth | undefined;
  readonly portMappings?: readonly PortMapping[] | undefined;
  readonly infinibandGuid?: string | undefined;
  readonly deviceId?: string | undefined;
  /** An inline CNI network configuration (JSON) instead of a name. */
  readonly config?: string | undefined;
  readonly ipamClaimReference?: string | undefined;
  readonly source?: NetworkSource | undefined;
}

/** Bits per second, and bits. A burst needs its rate. */
export interface Bandwidth {
  readonly ingressRate?: number | undefined;
  readonly ingressBurst?: number | undefined;
  readonly egressRate?: number | undefined;
  readonly egressBurst?: number | undefined;
}

export interface PortMapping {
  readonly hostPort: number;
  readonly containerPort: number;
  readonly protocol?: string | undefined;
  readonly hostIp?: string | undefined;
}

/**
 * The selection with empty keys dropped, MACs and addresses in lower case, so that two
 * ways to write the same one compare equal. Throws INVALID_SELECTION with
 * every fault.
 */
export function normalizeSelection(selection: NetworkSelection): NetworkSelection {
  const normalized = Object.fromEntries(
    Object.entries({
      ...selection,
      ips: selection.ips?.map((ip) => ip.toLowerCase()),
      mac: selection.mac?.toLowerCase(),
      infinibandGuid: selection.infinibandGuid?.toLowerCase(),
      bandwidth: selection.bandwidth && withoutEmpty(selection.bandwidth),
      portMappings: selection.portMappings?.map((mapping) =>
        withoutEmpty({ ...mapping, protocol: (mapping.protocol || "tcp").toLowerCase() }),
      ),
    }).filter(([, value]) => !isEmpty(value)),
  ) as NetworkSelection;
  const faults = selectionFaults(normalized);
  if (faults.length > 0) {
    throw new PodplugError("INVALID_SELECTION", `invalid network selection: ${faults.join("; ")}`);
  }
  return normalized;
}

function withoutEmpty<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => !isEmpty(member))) as T;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === 0) return true;
  if (Array.isArray(value)) return value.length === 0;
  // A default route without gateways says something: the plugin's own route stays.
  return typeof value === "object" && Object.keys(value).length === 0;
}

/** Every rule that a selection breaks, in words; empty when it is valid. */
function selectionFaults(selection: NetworkSelection): string[] {
  const faults: string[] = [];
  const expect = (holds: boolean, fault: string): void => {
    if (!holds) faults.push(fault);
  };
  const {
    name,
    namespace,
    config,
    source,
    ips = [],
    mac,
    infinibandGuid,
    bandwidth,
    portMappings = [],
  } = selection;

  if (config === undefined) {
    expect(name !== undefined, "neither a name nor an inline config is given");
    expect(source !== "inline", "source is inline but no config is given");
  } else {
    expect(name === undefined, "name and config exclude each other");
    expect(
      source === undefined || source === "inline",
      `source ${source} and an inline config exclude each other`,
    );
  }
  expect(name === undefined || isCniName(name), `name ${quote(name)} isn't a network's name`);
  expect(
    namespace === undefined || isObjectName(namespace),
    `namespace ${quote(namespace)} isn't a namespace's name`,
  );
  if (selection.interface !== undefined) {
    expect(
      isInterfaceName(selection.interface),
      `interface ${quote(selection.interface)} isn't an interface name (1 to 15 bytes without slash, colon, percent sign or space)`,
    );
    expect(selection.interface !== "lo", "interface lo is the pod's own");
  }
  for (const ip of ips)
    expect(isAddress(ip), `ips: ${quote(ip)} isn't an IP address with or without prefix length`);
  expect(new Set(ips).size === ips.length, "ips names an address twice");
  expect(mac === undefined || isUsableMac(mac), `mac ${quote(mac)} isn't a unicast hardware address`);
  expect(
    infinibandGuid === undefined || /^[0-9a-f]{2}(:[0-9a-f]{2}){7}$/.test(infinibandGuid),
    `infiniband-guid ${quote(infinibandGuid)} isn't eight hex bytes with colons`,
  );
  expect(
    ips.length === 0 || selection.ipamClaimReference === undefined,
    "ips and ipam-claim-reference exclude each other",
  );
  if (bandwidth) faults.push(...bandwidthFaults(bandwidth));
  for (const mapping of portMappings) faults.push(...portMappingFaults(mapping));
  const hostPorts = portMappings.map(
    (mapping) => `${mapping.hostIp ?? ""} ${mapping.hostPort}/${mapping.protocol}`,
  );
  expect(new Set(hostPorts).size === hostPorts.length, "portMappings names a host port twice");
  for (const gateway of selection.defaultRoute?.gateways ?? []) {
    expect(
      isIP(gateway) !== 0 && !gateway.includes("%"),
      `default-route: ${quote(gateway)} isn't an IP address`,
    );
  }
  for (const family of [4, 6]) {
    const ofFamily = selection.defaultRoute?.gateways.filter((gateway) => isIP(gateway) === family) ?? [];
    expect(ofFamily.length <= 1, `default-route names more than one IPv${family} gateway`);
  }
  return faults;
}

function bandwidthFaults(bandwidth: Bandwidth): string[] {
  const faults: string[] = [];
  for (const [key, value] of Object.entries(bandwidth) as [string, number][]) {
    if (!Number.isSafeInteger(value) || value < 0) faults.push(`bandwidth: ${key} isn't a count of bits`);
  }
  if (bandwidth.ingressBurst && !bandwidth.ingressRate)
    faults.push("bandwidth: ingressBurst needs ingressRate");
  if (bandwidth.egressBurst && !bandwidth.egressRate) faults.push("bandwidth: egressBurst needs egressRate");
  return faults;
}

function portMappingFaults(mapping: PortMapping): string[] {
  const faults: string[] = [];
  for (const key of ["hostPort", "containerPort"] as const) {
    const port = mapping[key];
    if (!Number.isInteger(port) || port < 1 || port > 65535) {
      faults.push(`portMappings: ${key} isn't a port from 1 to 65535`);
    }
  }
  if (!["tcp", "udp", "sctp"].includes(mapping.protocol ?? "")) {
    faults.push(`portMappings: protocol ${quote(mapping.protocol)} isn't tcp, udp or sctp`);
  }
  if (mapping.hostIp !== undefined && isIP(mapping.hostIp) === 0) {
    faults.push(`portMappings: hostIP ${quote(mapping.hostIp)} isn't an IP address`);
  }
  return faults;
}

function isAddress(text: string): boolean {
  const [address = "", prefix, ...rest] = text.split("/");
  if (rest.length > 0 || isIP(address) === 0 || address.includes("%")) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (isIPv4(address) ? 32 : 128);
}

function isUsableMac(mac: string): boolean {
  return (
    /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac) &&
    mac !== "00:00:00:00:00:00" &&
    (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0
  );
}

function quote(text: string | undefined): string {
  return JSON.stringify(text);
}

/** An address without its prefix length. */
export function bareAddress(address: string): string {
  return address.split("/", 1)[0] ?? "";
}

/** The same, in one of the several ways to write it: two texts of one address compare equal. */
export function plainAddress(text: string): string {
  const address = bareAddress(text);
  return isIPv6(address) ? new SocketAddress({ address, family: "ipv6" }).address : address;
}
