import { isCniName, isObjectName } from "../domain/names.ts";
import { addressEndpoints, bindHosts } from "./endpoints.ts";
import type { IntentNetwork } from "./intent.ts";
import type { IntentText, NetworkText, TenantText } from "./intent-text.ts";
import { type Block, freeBlocks, overlap, parseBlock, printBlock } from "./ipv4.ts";
import { describeTags, freeTags, isSegmentKind, parseTag, parseTagRanges, type SegmentKind } from "./tags.ts";

/** What the intent itself gives to a network, and where faults of it are told. */
interface Given {
  readonly path: string;
  readonly text: NetworkText;
  readonly kind: SegmentKind | undefined;
  readonly tag: number | undefined;
  readonly subnet: Block | undefined;
}

/**
 * Gives each network its tag and subnet, in the file's order: what the file
 * gives itself is taken out of pools and ranges first, whosever they are, as
 * all tenants share the node's devices and routes. Faults are added to `faults`.
 */
export function allocate(
  text: IntentText,
  hosts: ReadonlySet<string>,
  faults: string[],
): readonly IntentNetwork[] {
  const pools = readPools(text.Tenants, faults);
  const given = text.Tenants.map((tenant, index) => readNetworks(tenant, `Tenants[${index}]`, faults));
  const tags = takeTags(given.flat(), faults);
  const subnets = takeSubnets(given.flat(), faults);
  const hostOf = bindHosts(text.HostBindings, hosts, faults);

  return text.Tenants.flatMap((tenant, index) => {
    const path = `Tenants[${index}]`;
    checkTenantName(tenant, text.Tenants.slice(0, index), path, faults);
    const nextTag = tagSource(tenant, path, tags, faults);
    const nextSubnet = subnetSource(tenant, path, pools[index], subnets, faults);
    return (given[index] ?? []).flatMap((network): readonly IntentNetwork[] => {
      const { kind } = network;
      const subnet = network.subnet ?? (network.text.SubnetCIDR ? undefined : nextSubnet(network.path));
      const tag = network.tag ?? (kind && !network.text.PktTag ? nextTag(kind, network.path) : undefined);
      const addressed = addressEndpoints(network, subnet, hostOf, hosts, faults);
      const { Name: name } = network.text;
      if (!tenant.Name || !name || !kind || tag === undefined || !subnet) return [];
      return [{ tenant: tenant.Name, name, kind, tag, subnet: printBlock(subnet), ...addressed }];
    });
  });
}

/** No dot, so that TENANT.NETWORK, as permissions and CNI have it, is one network's name. */
function checkTenantName(
  { Name: name }: TenantText,
  earlier: readonly TenantText[],
  path: string,
  faults: string[],
): void {
  if (name === undefined) faults.push(`${path}.Name: it is missing`);
  else if (!isObjectName(name) || name.includes(".")) {
    faults.push(
      `${path}.Name: ${JSON.stringify(name)} isn't lower-case letters, digits and "-" (rename it: the name isn't on the wire)`,
    );
  } else if (earlier.some((each) => each.Name === name)) {
    faults.push(`${path}.Name: there is another tenant ${name}`);
  }
}

function readNetworks(tenant: TenantText, tenantPath: string, faults: string[]): readonly Given[] {
  const names = new Set<string>();
  return tenant.Networks.map((text, index) => {
    const path = `${tenantPath}.Networks[${index}]`;
    const reject = (key: string, fault: string): void => void faults.push(`${path}.${key}: ${fault}`);
    const { Name: name, PktTag, SubnetCIDR } = text;
    if (name === undefined) reject("Name", "it is missing");
    else if (!isCniName(name)) reject("Name", `${JSON.stringify(name)} isn't a network's name`);
    else if (names.has(name)) reject("Name", `the tenant has another network ${name}`);
    if (name !== undefined) names.add(name);
    const type = text.PktTagType ?? tenant.DefaultNetType;
    const kind = type !== undefined && isSegmentKind(type) ? type : undefined;
    if (type === undefined) reject("PktTagType", "neither it nor the tenant's DefaultNetType is there");
    else if (!kind) reject("PktTagType", `${JSON.stringify(type)} isn't vlan or vxlan`);
    const tag = PktTag !== undefined && kind ? parseTag(PktTag, kind) : undefined;
    if (PktTag !== undefined && kind && tag === undefined) {
      reject("PktTag", `${JSON.stringify(PktTag)} isn't one of the ${describeTags(kind)}`);
    }
    const subnet = SubnetCIDR === undefined ? undefined : parseBlock(SubnetCIDR);
    const isUsable = subnet !== undefined && subnet.prefix >= 1 && subnet.prefix <= 30;
    if (SubnetCIDR !== undefined && !isUsable) {
      reject("SubnetCIDR", `${JSON.stringify(SubnetCIDR)} isn't an IPv4 subnet of /1 to /30`);
    }
    return { path, text, kind, tag, subnet: isUsable ? subnet : undefined };
  });
}

function takeTags(networks: readonly Given[], faults: string[]): Record<SegmentKind, Set<number>> {
  const taken = { vlan: new Set<number>(), vxlan: new Set<number>() };
  for (const { path, kind, tag } of networks) {
    if (!kind || tag === undefined) continue;
    if (taken[kind].has(tag)) faults.push(`${path}.PktTag: another network has ${kind} ${tag} too`);
    taken[kind].add(tag);
  }
  return taken;
}

function takeSubnets(networks: readonly Given[], faults: string[]): readonly Block[] {
  const taken: Block[] = [];
  for (const { path, subnet } of networks) {
    if (!subnet) continue;
    const other = taken.find((each) => overlap(each, subnet));
    if (other) faults.push(`${path}.SubnetCIDR: it overlaps another network's, ${printBlock(other)}`);
    taken.push(subnet);
  }
  return taken;
}

function readPools(tenants: readonly TenantText[], faults: string[]): readonly (Block | undefined)[] {
  const pools = tenants.map(({ SubnetPool }, index) => {
    const pool = SubnetPool === undefined ? undefined : parseBlock(SubnetPool);
    const isUsable = pool !== undefined && pool.prefix <= 30;
    if (SubnetPool !== undefined && !isUsable) {
      const fault = `${JSON.stringify(SubnetPool)} isn't an IPv4 subnet of /0 to /30`;
      faults.push(`Tenants[${index}].SubnetPool: ${fault}`);
    }
    return isUsable ? pool : undefined;
  });
  for (const [index, pool] of pools.entries()) {
    const other = pools.findIndex((each, before) => before < index && each && pool && overlap(each, pool));
    if (other >= 0) faults.push(`Tenants[${index}].SubnetPool: it overlaps Tenants[${other}]'s`);
  }
  return pools;
}

function tagSource(
  tenant: TenantText,
  path: string,
  taken: Record<SegmentKind, Set<number>>,
  faults: string[],
): (kind: SegmentKind, networkPath: string) => number | undefined {
  const source = (kind: SegmentKind, key: "VLANs" | "VXLANs") => {
    const text = tenant[key];
    const ranges = text === undefined ? [] : parseTagRanges(text, kind);
    if (!ranges) faults.push(`${path}.${key}: ${JSON.stringify(text)} isn't ranges of ${describeTags(kind)}`);
    return { key, text, isBroken: !ranges, free: freeTags(ranges ?? [], taken[kind]) };
  };
  const sources = { vlan: source("vlan", "VLANs"), vxlan: source("vxlan", "VXLANs") };
  return (kind, networkPath) => {
    const { key, text, isBroken, free } = sources[kind];
    const tag = free.next().value;
    if (tag !== undefined) taken[kind].add(tag);
    else if (text === undefined) {
      faults.push(`${networkPath}.PktTag: neither it nor the tenant's ${key} is there`);
    } else if (!isBroken) faults.push(`${networkPath}: no tag is left in the tenant's ${key} ${text}`);
    return tag;
  };
}

const usualSubnetLength = 24;

function subnetSource(
  tenant: TenantText,
  path: string,
  pool: Block | undefined,
  taken: readonly Block[],
  faults: string[],
): (networkPath: string) => Block | undefined {
  const { AllocSubnetLen: given } = tenant;
  const prefix = given === undefined ? Math.max(usualSubnetLength, pool?.prefix ?? 0) : Number(given);
  const isUsable = Number.isInteger(prefix) && prefix >= (pool?.prefix ?? 1) && prefix >= 1 && prefix <= 30;
  if (given !== undefined && !isUsable) {
    faults.push(`${path}.AllocSubnetLen: ${given} isn't a length from SubnetPool's own to 30`);
  }
  const free = pool && isUsable ? freeBlocks(pool, prefix, taken) : undefined;
  return (networkPath) => {
    const subnet = free?.next().value;
    if (subnet) return subnet;
    if (tenant.SubnetPool === undefined) {
      faults.push(`${networkPath}.SubnetCIDR: neither it nor the tenant's SubnetPool is there`);
    } else if (free) {
      faults.push(`${networkPath}: no subnet of /${prefix} is left in the tenant's SubnetPool`);
    }
    return undefined;
  };
}
