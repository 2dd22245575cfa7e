import { toJson } from "@bufbuild/protobuf";
import * as proto from "../../../../gen/podplug/v1/node_pb.ts";
import { type Failure, failureOf } from "../../../domain/errors.ts";
import { isJsonObject, type JsonValue } from "../../../domain/json.ts";
import type {
  AttachAnswer,
  DetachAnswer,
  InterfaceEvent,
  NodeInfo,
  PodInterface,
} from "../../../domain/node-api.ts";
import {
  attachAnswerToProto,
  detachAnswerToProto,
  listAnswerToProto,
  nodeInfoToProto,
} from "../../../wire/answers.ts";
import { eventToProto } from "../../../wire/events.ts";
import { failureToProto } from "../../../wire/failure.ts";

// The API's answers in its own JSON form, so that what a script reads from the
// program and from the API is the same. That form leaves out what is false or
// empty; what a script asks for first is always there.

export function attachDocument(answer: AttachAnswer): JsonValue {
  const document = toJson(proto.AttachNetworkResponseSchema, attachAnswerToProto(answer));
  return isJsonObject(document) ? { ...document, created: answer.created } : document;
}

export function detachDocument(answer: DetachAnswer): JsonValue {
  const document = toJson(proto.DetachNetworkResponseSchema, detachAnswerToProto(answer));
  return isJsonObject(document) ? { ...document, detached: answer.detached } : document;
}

export function listDocument(interfaces: readonly PodInterface[]): JsonValue {
  const document = toJson(proto.ListInterfacesResponseSchema, listAnswerToProto(interfaces));
  return isJsonObject(document) ? { interfaces: [], ...document } : document;
}

export function eventDocument(event: InterfaceEvent): JsonValue {
  return toJson(proto.WatchInterfacesResponseSchema, eventToProto(event));
}

export function nodeInfoDocument(info: NodeInfo): JsonValue {
  return toJson(proto.GetNodeInfoResponseSchema, nodeInfoToProto(info));
}

/** The `podplug.v1.Failure` that the API sends as an error's detail. */
export function failureDocument(thrown: unknown): JsonValue {
  return toJson(proto.FailureSchema, failureToProto(failureOf(thrown)));
}

/** One of `podplug check`, which may ask the API several times: a form of the program's own. */
export interface CheckOutcome {
  readonly interface: string;
  /** Empty when it wasn't looked up. */
  readonly network: string;
  readonly failure?: Failure | undefined;
}

export function checkDocument(outcomes: readonly CheckOutcome[]): JsonValue {
  return {
    checks: outcomes.map(({ interface: ifName, network, failure }) => ({
      interface: ifName,
      ...(network !== "" && { network }),
      ok: failure === undefined,
      ...(failure && { failure: toJson(proto.FailureSchema, failureToProto(failure)) }),
    })),
  };
}
