import { PodplugError } from "../domain/errors.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { Bandwidth, NetworkSelection, PortMapping } from "../domain/selection.ts";

/**
 * What a selection asks of the plugins, by the names that CNI's conventions
 * give it (NPWG standard, section 4.1.2.1; CNI conventions, "Dynamic plugin
 * specific fields"). Throws UNSUPPORTED naming the key that no plugin is asked
 * for.
 */
export function capabilityArgsOf(selection: NetworkSelection): JsonObject {
  if (selection.defaultRoute !== undefined) throw unsupported("default-route");
  if (selection.ipamClaimReference !== undefined) throw unsupported("ipam-claim-reference");
  const args: Record<string, JsonValue | undefined> = {
    ips: selection.ips,
    mac: selection.mac,
    portMappings: selection.portMappings?.map(portMapping),
    bandwidth: selection.bandwidth && bandwidth(selection.bandwidth),
    infinibandGUID: selection.infinibandGuid,
    deviceID: selection.deviceId,
  };
  return Object.fromEntries(
    Object.entries(args).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined),
  );
}

function portMapping({ hostPort, containerPort, protocol = "tcp", hostIp }: PortMapping): JsonObject {
  return { hostPort, containerPort, protocol, ...(hostIp !== undefined && { hostIP: hostIp }) };
}

/** All four numbers: the bandwidth plugin reads an absent one as 0 too. */
function bandwidth({
  ingressRate = 0,
  ingressBurst = 0,
  egressRate = 0,
  egressBurst = 0,
}: Bandwidth): JsonObject {
  return { ingressRate, ingressBurst, egressRate, egressBurst };
}

function unsupported(key: string): PodplugError {
  return new PodplugError("UNSUPPORTED", `executor direct can't do ${key} yet`);
}
