import type { IntentNetwork } from "../contiv/intent.ts";
import type { IntentFile } from "../contiv/intent-file.ts";
import { isHostOf, parseAddress, parseBlock } from "../contiv/ipv4.ts";
import { type Uplink, uplinkOf, uplinkPlugin } from "../contiv/uplink.ts";
import { PodplugError } from "../domain/errors.ts";
import { bareAddress, type NetworkSelection } from "../domain/selection.ts";
import { abortError } from "../domain/signals.ts";
import type { NetworkCatalog } from "./contract.ts";

export interface ContivCatalogOptions {
  readonly file: IntentFile;
  /** This node among the intent's Hosts. */
  readonly hostName: string;
}

/**
 * The networks of contiv's intent, `tenant/name`: a bridge that the plugin
 * podplug-uplink makes, with its way to the other hosts, and the addresses that
 * the selection names, as nobody hands them out here. INVALID_SELECTION for one
 * without an address, or with one of another subnet.
 */
export function createContivCatalog({ file, hostName }: ContivCatalogOptions): NetworkCatalog {
  return {
    async find(selection, podNamespace, signal) {
      if (signal.aborted) throw abortError(signal, "looking for a network");
      const { name = "", namespace: tenant = podNamespace } = selection;
      const displayName = tenant === undefined ? name : `${tenant}/${name}`;
      const read = file.current();
      if (read.kind === "invalid") {
        const message = `network ${displayName} can't be looked up in ${file.path}: ${read.faults.join("; ")}`;
        throw new PodplugError("INVALID_NETWORK", message, { details: read.faults.join("\n") });
      }
      const network = read.intent.networks.find((each) => each.tenant === tenant && each.name === name);
      if (!network) {
        const message = `there is no network ${displayName} in ${file.path}; it is asked for as TENANT/NETWORK`;
        throw new PodplugError("NETWORK_NOT_FOUND", message);
      }
      const uplink = uplinkOf(network, read.intent, hostName);
      if (uplink.kind === "impossible") {
        throw new PodplugError("INVALID_NETWORK", `network ${displayName} of ${file.path}: ${uplink.why}`);
      }
      const addresses = addressesOf(selection, network, displayName);
      return { displayName, source: "contiv", config: configOf(network, uplink, addresses) };
    },
  };
}

function addressesOf(
  { ips = [] }: NetworkSelection,
  { subnet }: IntentNetwork,
  displayName: string,
): readonly string[] {
  const invalid = (fault: string) =>
    new PodplugError("INVALID_SELECTION", `network ${displayName}: ${fault} of its subnet ${subnet}`);
  if (ips.length === 0) throw invalid("ips must name an address");
  const block = parseBlock(subnet);
  return ips.map((ip) => {
    const address = parseAddress(bareAddress(ip));
    if (!block || address === undefined || !isHostOf(block, address)) throw invalid(`${ip} isn't an address`);
    return `${bareAddress(ip)}/${block.prefix}`;
  });
}

function configOf(
  { tenant, name, gateway }: IntentNetwork,
  { text, bridge, mtu }: Uplink & { kind: "possible" },
  addresses: readonly string[],
): string {
  return JSON.stringify({
    cniVersion: "1.0.0",
    name: `${tenant}.${name}`,
    plugins: [
      // The addresses stand below, with the gateway that the capability has no place for.
      { type: uplinkPlugin, uplink: text, capabilities: { ips: true } },
      {
        type: "bridge",
        bridge,
        ...(mtu !== undefined && { mtu }),
        ipam: { type: "static", addresses: addresses.map((address) => ({ address, gateway })) },
      },
    ],
  });
}
