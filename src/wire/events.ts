import { create } from "@bufbuild/protobuf";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import type { InterfaceEvent } from "../domain/node-api.ts";
import { failureFromProto, failureToProto } from "./failure.ts";
import { interfaceFromProto, interfaceToProto } from "./pod-interface.ts";

const Kind = proto.WatchInterfacesResponse_Kind;
type Kind = proto.WatchInterfacesResponse_Kind;

const kindNumbers = {
  present: Kind.PRESENT,
  synced: Kind.SYNCED,
  attached: Kind.ATTACHED,
  detached: Kind.DETACHED,
  failed: Kind.FAILED,
  changed: Kind.CHANGED,
} as const satisfies Record<InterfaceEvent["kind"], Kind>;

const kinds = new Map<Kind, InterfaceEvent["kind"]>(
  Object.entries(kindNumbers).map(([kind, number]) => [number, kind as InterfaceEvent["kind"]]),
);

export function eventToProto(event: InterfaceEvent): proto.WatchInterfacesResponse {
  return create(proto.WatchInterfacesResponseSchema, {
    kind: kindNumbers[event.kind],
    ...(event.kind !== "synced" && { interface: interfaceToProto(event.interface) }),
    ...(event.kind === "failed" && { failure: failureToProto(event.failure) }),
  });
}

/** Undefined for what only a newer version understands: a watcher skips it. */
export function eventFromProto(message: proto.WatchInterfacesResponse): InterfaceEvent | undefined {
  const kind = kinds.get(message.kind);
  if (kind === undefined) return undefined;
  if (kind === "synced") return { kind };
  if (!message.interface) return undefined;
  const podInterface = interfaceFromProto(message.interface);
  if (kind !== "failed") return { kind, interface: podInterface };
  if (!message.failure) return undefined;
  return { kind, interface: podInterface, failure: failureFromProto(message.failure) };
}
