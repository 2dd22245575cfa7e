import type { JsonObject, JsonValue } from "../domain/json.ts";
import type { Bandwidth, NetworkSelection, PortMapping } from "../domain/selection.ts";

/** As much as it can be, as kubelet has it: the bandwidth plugin refuses a rate without a burst. */
const unlimitedBurst = 2 ** 31 - 1;

/**
 * What a selection asks of the plugins, by the names that CNI's conventions
 * give it (NPWG standard, section 4.1.2.1; CNI conventions, "Dynamic plugin
 * specific fields"). A default route is set after ADD, and a claim is read from
 * the pod's annotation by the plugins that know claims: neither is theirs to get.
 */
export function capabilityArgsOf(selection: NetworkSelection): JsonObject {
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
  ingressBurst = ingressRate && unlimitedBurst,
  egressRate = 0,
  egressBurst = egressRate && unlimitedBurst,
}: Bandwidth): JsonObject {
  return { ingressRate, ingressBurst, egressRate, egressBurst };
}
