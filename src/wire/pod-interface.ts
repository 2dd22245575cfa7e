import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import type { AttachmentState, Origin } from "../domain/attachment.ts";
import type { InterfaceCounters, PodInterface } from "../domain/node-api.ts";
import { failureFromProto, failureToProto } from "./failure.ts";
import { selectionFromProto, selectionToProto } from "./selection.ts";
import { structToProto } from "./struct.ts";
import { podFromProto, podToProto } from "./target.ts";

const originNumbers = {
  podplug: proto.Origin.PODPLUG,
  pod: proto.Origin.POD,
} as const satisfies Record<Origin, proto.Origin>;

const stateNumbers = {
  attaching: proto.AttachmentState.ATTACHING,
  attached: proto.AttachmentState.ATTACHED,
  detaching: proto.AttachmentState.DETACHING,
  failed: proto.AttachmentState.FAILED,
  waiting: proto.AttachmentState.WAITING,
} as const satisfies Record<AttachmentState, proto.AttachmentState>;

const states = new Map<proto.AttachmentState, AttachmentState>(
  Object.entries(stateNumbers).map(([state, number]) => [number, state as AttachmentState]),
);

export function interfaceToProto(podInterface: PodInterface): proto.Interface {
  const { pod, counters, attachedAt, failure, selection, cniResult, state } = podInterface;
  return create(proto.InterfaceSchema, {
    sandboxId: podInterface.sandboxId,
    netns: podInterface.netns,
    name: podInterface.name,
    mac: podInterface.mac,
    ips: [...podInterface.ips],
    gateways: [...podInterface.gateways],
    mtu: podInterface.mtu,
    up: podInterface.up,
    index: podInterface.index,
    network: podInterface.network,
    origin: originNumbers[podInterface.origin],
    state: state ? stateNumbers[state] : proto.AttachmentState.UNSPECIFIED,
    deviceId: podInterface.deviceId,
    attachmentId: podInterface.attachmentId,
    owner: podInterface.owner,
    key: podInterface.key,
    ...(pod && { pod: podToProto(pod) }),
    ...(attachedAt && { attachedAt: timestampFromDate(attachedAt) }),
    ...(counters && { counters: countersToProto(counters) }),
    ...(failure && { failure: failureToProto(failure) }),
    ...(selection && { selection: selectionToProto(selection) }),
    ...(cniResult && { cniResult: structToProto(cniResult) }),
  });
}

export function interfaceFromProto(message: proto.Interface): PodInterface {
  return {
    pod: message.pod && podFromProto(message.pod),
    sandboxId: message.sandboxId,
    netns: message.netns,
    name: message.name,
    mac: message.mac,
    ips: message.ips,
    gateways: message.gateways,
    mtu: message.mtu,
    up: message.up,
    index: message.index,
    counters: message.counters && countersFromProto(message.counters),
    network: message.network,
    // What podplug made says so; anything else, a newer version's words
    // included, is best left alone, like the pod's own.
    origin: message.origin === proto.Origin.PODPLUG ? "podplug" : "pod",
    state: states.get(message.state),
    attachedAt: message.attachedAt && timestampDate(message.attachedAt),
    deviceId: message.deviceId,
    failure: message.failure && failureFromProto(message.failure),
    attachmentId: message.attachmentId,
    owner: message.owner,
    key: message.key,
    selection: message.selection && selectionFromProto(message.selection),
    cniResult: message.cniResult,
  };
}

const counterNames = [
  "rxBytes",
  "txBytes",
  "rxPackets",
  "txPackets",
  "rxErrors",
  "txErrors",
  "rxDropped",
  "txDropped",
] as const satisfies readonly (keyof InterfaceCounters)[];

function countersToProto(counters: InterfaceCounters): proto.Counters {
  const entries = counterNames.map((name) => [name, BigInt(counters[name])] as const);
  return create(proto.CountersSchema, Object.fromEntries(entries));
}

function countersFromProto(message: proto.Counters): InterfaceCounters {
  const entries = counterNames.map((name) => [name, Number(message[name])] as const);
  return Object.fromEntries(entries) as Record<(typeof counterNames)[number], number>;
}
