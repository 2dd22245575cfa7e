import type { IntentEndpoint } from "./intent.ts";
import type { IntentText, NetworkText } from "./intent-text.ts";
import { type Block, endOf, isHostOf, parseAddress, printAddress, printBlock } from "./ipv4.ts";

/** Which host a container is bound to apart from its endpoints; each container to one. */
export function bindHosts(
  bindings: IntentText["HostBindings"],
  hosts: ReadonlySet<string>,
  faults: string[],
): ReadonlyMap<string, string> {
  const bound = new Map<string, string>();
  for (const [index, { Container: container, Host: host }] of bindings.entries()) {
    const path = `HostBindings[${index}]`;
    if (container === undefined) faults.push(`${path}.Container: it is missing`);
    if (host !== undefined && !hosts.has(host)) faults.push(`${path}.Host: ${host} isn't among Hosts`);
    if (container === undefined || host === undefined) continue;
    const other = bound.get(container);
    if (other !== undefined && other !== host) {
      faults.push(`${path}.Host: container ${container} is bound to ${other} too`);
    }
    bound.set(container, host);
  }
  return bound;
}

/**
 * Each endpoint's address: its IPAddress, else the first that is free in the
 * endpoints' order. A network without a subnet, which is told elsewhere, still
 * has its endpoints' names and hosts checked.
 */
export function addressEndpoints(
  { path, text }: { readonly path: string; readonly text: NetworkText },
  subnet: Block | undefined,
  bound: ReadonlyMap<string, string>,
  hosts: ReadonlySet<string>,
  faults: string[],
): { readonly gateway: string | undefined; readonly endpoints: readonly IntentEndpoint[] } {
  const reject = (key: string, fault: string): void => void faults.push(`${path}.${key}: ${fault}`);
  const taken = new Map<number, string>();

  function readOwn(key: string, given: string | undefined, holder: string): number | undefined {
    if (given === undefined) return undefined;
    const address = parseAddress(given);
    if (address === undefined) reject(key, `${JSON.stringify(given)} isn't an IPv4 address`);
    else if (subnet && !isHostOf(subnet, address)) {
      reject(key, `${given} isn't a host's address in the network's subnet ${printBlock(subnet)}`);
    } else if (taken.has(address)) reject(key, `${given} is ${taken.get(address)}'s too`);
    else taken.set(address, holder);
    return address;
  }

  readOwn("DefaultGw", text.DefaultGw, "the gateway");
  const own = text.Endpoints.map(({ Container: container = "", IPAddress: given }, index) =>
    readOwn(`Endpoints[${index}].IPAddress`, given, `container ${container}`),
  );
  let next = subnet ? subnet.base + 1 : 0;
  const seen = new Map<string, Set<string | undefined>>();
  const endpoints = text.Endpoints.flatMap((each, index): readonly IntentEndpoint[] => {
    const key = `Endpoints[${index}]`;
    const { Container: container } = each;
    if (each.Host !== undefined && !hosts.has(each.Host)) {
      reject(`${key}.Host`, `${each.Host} isn't among Hosts`);
    }
    if (container === undefined) {
      reject(`${key}.Container`, "it is missing");
      return [];
    }
    const host = each.Host ?? bound.get(container);
    const places = seen.get(container) ?? new Set();
    if (places.has(host) || places.has(undefined) || (host === undefined && places.size > 0)) {
      reject(`${key}.Container`, `the network has another endpoint of ${container}`);
    }
    seen.set(container, places.add(host));
    if (!subnet) return [];
    while (taken.has(next)) next += 1;
    const address = each.IPAddress === undefined ? next : own[index];
    if (address === undefined) return [];
    if (each.IPAddress === undefined && next >= endOf(subnet) - 1) {
      reject(key, `no address is left in the network's subnet ${printBlock(subnet)}`);
      return [];
    }
    if (each.IPAddress === undefined) next += 1;
    return [{ container, host, address: `${printAddress(address)}/${subnet.prefix}` }];
  });
  return { gateway: text.DefaultGw, endpoints };
}
