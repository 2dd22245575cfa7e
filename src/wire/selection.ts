import { create } from "@bufbuild/protobuf";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../domain/errors.ts";
import { isDeeperThan } from "../domain/json.ts";
import type { Bandwidth, NetworkSelection, NetworkSource, PortMapping } from "../domain/selection.ts";
import { holdsMoreThan, structToProto } from "./struct.ts";

const sourceNumbers = {
  netAttachDef: proto.NetworkSource.NET_ATTACH_DEF,
  kaloom: proto.NetworkSource.KALOOM,
  directory: proto.NetworkSource.DIRECTORY,
  inline: proto.NetworkSource.INLINE,
  contiv: proto.NetworkSource.CONTIV,
} as const satisfies Record<NetworkSource, proto.NetworkSource>;

const sources = new Map<proto.NetworkSource, NetworkSource | undefined>([
  [proto.NetworkSource.UNSPECIFIED, undefined],
  ...Object.entries(sourceNumbers).map(([source, number]) => [number, source as NetworkSource] as const),
]);

/** Deeper values would make every later walk over them a matter of the stack's size. */
const maxJsonDepth = 32;
const maxJsonValues = 1_000;

/** Throws INVALID_SELECTION when a rate can't be a count of bits. */
export function selectionToProto(selection: NetworkSelection): proto.NetworkSelection {
  return create(proto.NetworkSelectionSchema, {
    name: selection.name ?? "",
    namespace: selection.namespace ?? "",
    interface: selection.interface ?? "",
    ips: [...(selection.ips ?? [])],
    mac: selection.mac ?? "",
    infinibandGuid: selection.infinibandGuid ?? "",
    deviceId: selection.deviceId ?? "",
    config: selection.config ?? "",
    ipamClaimReference: selection.ipamClaimReference ?? "",
    source: selection.source ? sourceNumbers[selection.source] : proto.NetworkSource.UNSPECIFIED,
    portMappings: (selection.portMappings ?? []).map(portMappingToProto),
    ...(selection.defaultRoute && { defaultRoute: { gateways: [...selection.defaultRoute.gateways] } }),
    ...(selection.cniArgs && { cniArgs: structToProto(selection.cniArgs) }),
    ...(selection.bandwidth && { bandwidth: bandwidthToProto(selection.bandwidth) }),
  });
}

/** Throws INVALID_REQUEST for a source of a newer version, a rate beyond 2^53 and arguments nested too deep. */
export function selectionFromProto(message: proto.NetworkSelection): NetworkSelection {
  if (!sources.has(message.source)) {
    throw new PodplugError("INVALID_REQUEST", `network.source ${message.source} is unknown`);
  }
  if (message.cniArgs && isDeeperThan(message.cniArgs, maxJsonDepth)) {
    throw new PodplugError(
      "INVALID_REQUEST",
      `network.cni_args is nested deeper than ${maxJsonDepth} levels`,
    );
  }
  if (message.cniArgs && holdsMoreThan(message.cniArgs, maxJsonValues)) {
    throw new PodplugError("INVALID_REQUEST", `network.cni_args holds more than ${maxJsonValues} values`);
  }
  return {
    name: message.name || undefined,
    namespace: message.namespace || undefined,
    interface: message.interface || undefined,
    ips: orAbsent(message.ips),
    mac: message.mac || undefined,
    defaultRoute: message.defaultRoute && { gateways: message.defaultRoute.gateways },
    cniArgs: message.cniArgs,
    bandwidth: message.bandwidth && bandwidthFromProto(message.bandwidth),
    portMappings: orAbsent(message.portMappings.map(portMappingFromProto)),
    infinibandGuid: message.infinibandGuid || undefined,
    deviceId: message.deviceId || undefined,
    config: message.config || undefined,
    ipamClaimReference: message.ipamClaimReference || undefined,
    source: sources.get(message.source),
  };
}

function bandwidthToProto(bandwidth: Bandwidth): proto.Bandwidth {
  return create(proto.BandwidthSchema, {
    ingressRate: bitsToProto(bandwidth.ingressRate),
    ingressBurst: bitsToProto(bandwidth.ingressBurst),
    egressRate: bitsToProto(bandwidth.egressRate),
    egressBurst: bitsToProto(bandwidth.egressBurst),
  });
}

function bandwidthFromProto(message: proto.Bandwidth): Bandwidth {
  return {
    ingressRate: bitsFromProto(message.ingressRate),
    ingressBurst: bitsFromProto(message.ingressBurst),
    egressRate: bitsFromProto(message.egressRate),
    egressBurst: bitsFromProto(message.egressBurst),
  };
}

function bitsToProto(bits: number | undefined): bigint {
  if (bits === undefined) return 0n;
  if (!Number.isSafeInteger(bits) || bits < 0) {
    throw new PodplugError("INVALID_SELECTION", `bandwidth ${bits} isn't a count of bits`);
  }
  return BigInt(bits);
}

function bitsFromProto(bits: bigint): number | undefined {
  if (bits > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new PodplugError("INVALID_REQUEST", `network.bandwidth ${bits} is larger than 2^53 - 1`);
  }
  return bits === 0n ? undefined : Number(bits);
}

function portMappingToProto(mapping: PortMapping): proto.PortMapping {
  return create(proto.PortMappingSchema, {
    hostPort: portToProto(mapping.hostPort),
    containerPort: portToProto(mapping.containerPort),
    protocol: mapping.protocol ?? "",
    hostIp: mapping.hostIp ?? "",
  });
}

function portMappingFromProto(message: proto.PortMapping): PortMapping {
  return {
    hostPort: message.hostPort,
    containerPort: message.containerPort,
    protocol: message.protocol || undefined,
    hostIp: message.hostIp || undefined,
  };
}

function portToProto(port: number): number {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new PodplugError("INVALID_SELECTION", `port mapping ${port} isn't a port`);
  }
  return port;
}

function orAbsent<T>(list: readonly T[]): readonly T[] | undefined {
  return list.length === 0 ? undefined : list;
}
