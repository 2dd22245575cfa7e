import { readFile } from "node:fs/promises";
import { type Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../../../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../../../domain/json.ts";
import {
  type Bandwidth,
  type NetworkSelection,
  type NetworkSource,
  networkSources,
  normalizeSelection,
  type PortMapping,
} from "../../../domain/selection.ts";
import { parseBandwidth } from "./bandwidth.ts";
import { collectPortMap } from "./port-map.ts";
import { collected } from "./scalars.ts";

export interface SelectionFlags {
  readonly interface?: string;
  readonly ip?: readonly string[];
  readonly mac?: string;
  readonly defaultRoute?: readonly string[];
  readonly bandwidth?: Bandwidth;
  readonly portMap?: readonly PortMapping[];
  readonly cniArgs?: string;
  readonly configFile?: string;
  readonly device?: string;
  readonly infinibandGuid?: string;
  readonly ipamClaim?: string;
  readonly source?: NetworkSource;
}

/** The word that asks for a default route without naming a gateway. */
const pluginsOwn = "plugin";

export function addSelectionOptions(command: Command): Command {
  return command
    .optionsGroup("Network:")
    .option("--interface <name>", "the interface's name in the pod (default: chosen by the node)")
    .option("--ip <address>", "address, with or without prefix length; repeatable", collected)
    .option("--mac <address>", "hardware address")
    .option(
      "--default-route <gateway>",
      `default route over this gateway (repeatable), or the word ${pluginsOwn}: over the one that the plugin names`,
      collected,
    )
    .option(
      "--bandwidth <limits>",
      "bits per second, as ingress=10M,egress=1G[,ingress-burst=1M,egress-burst=1M]",
      parseBandwidth,
    )
    .option(
      "--port-map <mapping>",
      "[HOSTIP:]HOSTPORT:CONTAINERPORT[/tcp|udp|sctp]; repeatable",
      collectPortMap,
    )
    .option("--cni-args <json>", "arguments for the plugins, a JSON object (the standard's cni-args)")
    .option("--config-file <file>", "a CNI configuration (JSON) in place of NETWORK; - reads standard input")
    .option("--device <id>", "a device that was allocated to the pod, for SR-IOV and the like")
    .option("--infiniband-guid <guid>", "InfiniBand GUID")
    .option("--ipam-claim <name>", "the IPAMClaim whose addresses the interface gets")
    .addOption(
      new Option(
        "--source <source>",
        "where to look NETWORK up (default: as the node is configured)",
      ).choices(networkSources),
    );
}

/** The selection, checked by the same rules as the node's. INVALID_SELECTION, or a usage error. */
export async function readSelection(
  network: string | undefined,
  flags: SelectionFlags,
  readStdin: () => Promise<string>,
): Promise<NetworkSelection> {
  const { defaultRoute, configFile } = flags;
  return normalizeSelection({
    ...(network === undefined ? {} : readNetworkName(network)),
    interface: flags.interface,
    ips: flags.ip,
    mac: flags.mac,
    defaultRoute: defaultRoute && { gateways: defaultRoute.filter((gateway) => gateway !== pluginsOwn) },
    bandwidth: flags.bandwidth,
    portMappings: flags.portMap,
    cniArgs: flags.cniArgs === undefined ? undefined : readCniArgs(flags.cniArgs),
    config: configFile === undefined ? undefined : await readConfig(configFile, readStdin),
    deviceId: flags.device,
    infinibandGuid: flags.infinibandGuid,
    ipamClaimReference: flags.ipamClaim,
    source: flags.source,
  });
}

/** `name` or `namespace/name`. */
function readNetworkName(text: string): { namespace?: string; name: string } {
  const slash = text.indexOf("/");
  return slash === -1 ? { name: text } : { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

function readCniArgs(text: string): JsonObject {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`--cni-args isn't JSON: ${messageOf(error)}`);
  }
  if (!isJsonObject(parsed)) throw new InvalidArgumentError("--cni-args isn't a JSON object");
  return parsed;
}

async function readConfig(path: string, readStdin: () => Promise<string>): Promise<string> {
  let text: string;
  try {
    text = path === "-" ? await readStdin() : await readFile(path, "utf8");
  } catch (error) {
    throw new InvalidArgumentError(`can't read the network's configuration: ${messageOf(error)}`);
  }
  if (text.trim() === "")
    throw new InvalidArgumentError(`${path === "-" ? "standard input" : path} holds no configuration`);
  return text;
}
