import { create } from "@bufbuild/protobuf";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../domain/errors.ts";
import type { AttachAnswer, DetachAnswer, NodeInfo, PodInterface } from "../domain/node-api.ts";
import { interfaceFromProto, interfaceToProto } from "./pod-interface.ts";

export function attachAnswerToProto(answer: AttachAnswer): proto.AttachNetworkResponse {
  return create(proto.AttachNetworkResponseSchema, {
    interface: interfaceToProto(answer.interface),
    created: answer.created,
  });
}

/** Throws INTERNAL when the answer lacks its interface. */
export function attachAnswerFromProto(message: proto.AttachNetworkResponse): AttachAnswer {
  if (!message.interface) throw new PodplugError("INTERNAL", "the node's answer has no interface");
  return { interface: interfaceFromProto(message.interface), created: message.created };
}

export function detachAnswerToProto(answer: DetachAnswer): proto.DetachNetworkResponse {
  return create(proto.DetachNetworkResponseSchema, {
    detached: answer.detached,
    ...(answer.interface && { interface: interfaceToProto(answer.interface) }),
  });
}

export function detachAnswerFromProto(message: proto.DetachNetworkResponse): DetachAnswer {
  return {
    detached: message.detached,
    interface: message.interface && interfaceFromProto(message.interface),
  };
}

export function listAnswerToProto(interfaces: readonly PodInterface[]): proto.ListInterfacesResponse {
  return create(proto.ListInterfacesResponseSchema, { interfaces: interfaces.map(interfaceToProto) });
}

export function listAnswerFromProto(message: proto.ListInterfacesResponse): readonly PodInterface[] {
  return message.interfaces.map(interfaceFromProto);
}

export function nodeInfoToProto(info: NodeInfo): proto.GetNodeInfoResponse {
  return create(proto.GetNodeInfoResponseSchema, {
    nodeName: info.nodeName,
    version: info.version,
    runtime: info.runtime,
    executor: info.executor,
    cniVersions: [...info.cniVersions],
  });
}

export function nodeInfoFromProto(message: proto.GetNodeInfoResponse): NodeInfo {
  return {
    nodeName: message.nodeName,
    version: message.version,
    runtime: message.runtime,
    executor: message.executor,
    cniVersions: message.cniVersions,
  };
}
