import { create } from "@bufbuild/protobuf";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../domain/errors.ts";
import type {
  AttachmentChoice,
  AttachRequest,
  CheckRequest,
  DetachRequest,
  ListRequest,
} from "../domain/node-api.ts";
import type { Target } from "../domain/target.ts";
import { selectionFromProto, selectionToProto } from "./selection.ts";
import { targetFromProto, targetToProto } from "./target.ts";

// Each …FromProto here throws INVALID_REQUEST for what it can't understand:
// something missing, or of a newer version than this one.

export function attachRequestToProto(request: AttachRequest): proto.AttachNetworkRequest {
  return create(proto.AttachNetworkRequestSchema, {
    target: targetToProto(request.target),
    network: selectionToProto(request.network),
    validateOnly: request.validateOnly ?? false,
    owner: request.owner ?? "",
    key: request.key ?? "",
    replace: request.replace ?? false,
    adopt: request.adopt ?? false,
  });
}

export function attachRequestFromProto(message: proto.AttachNetworkRequest): AttachRequest {
  if (!message.network) throw new PodplugError("INVALID_REQUEST", "network is missing");
  return {
    target: requiredTarget(message.target),
    network: selectionFromProto(message.network),
    validateOnly: message.validateOnly,
    owner: message.owner || undefined,
    key: message.key || undefined,
    replace: message.replace,
    adopt: message.adopt,
  };
}

export function detachRequestToProto(request: DetachRequest): proto.DetachNetworkRequest {
  return create(proto.DetachNetworkRequestSchema, {
    which: choiceToProto(request.which),
    force: request.force ?? false,
    ...(request.target && { target: targetToProto(request.target) }),
  });
}

export function detachRequestFromProto(message: proto.DetachNetworkRequest): DetachRequest {
  return {
    target: message.target && targetFromProto(message.target),
    which: choiceFromProto(message.which),
    force: message.force,
  };
}

function choiceToProto(choice: AttachmentChoice): proto.DetachNetworkRequest["which"] {
  switch (choice.by) {
    case "interface":
      return { case: "interface", value: choice.interface };
    case "network":
      return { case: "network", value: choice.network };
    case "id":
      return { case: "attachmentId", value: choice.attachmentId };
  }
}

function choiceFromProto(which: proto.DetachNetworkRequest["which"]): AttachmentChoice {
  switch (which.case) {
    case "interface":
      return { by: "interface", interface: which.value };
    case "network":
      return { by: "network", network: which.value };
    case "attachmentId":
      return { by: "id", attachmentId: which.value };
    case undefined:
      throw new PodplugError("INVALID_REQUEST", "none of interface, network and attachment_id is given");
  }
}

export function listRequestToProto(request: ListRequest): proto.ListInterfacesRequest {
  return create(proto.ListInterfacesRequestSchema, {
    counters: request.counters ?? false,
    ...(request.target && { target: targetToProto(request.target) }),
  });
}

export function watchRequestToProto(request: ListRequest): proto.WatchInterfacesRequest {
  return create(
    proto.WatchInterfacesRequestSchema,
    request.target && { target: targetToProto(request.target) },
  );
}

export function listRequestFromProto(
  message: proto.ListInterfacesRequest | proto.WatchInterfacesRequest,
): ListRequest {
  return {
    target: message.target && targetFromProto(message.target),
    ...("counters" in message && message.counters ? { counters: true } : {}),
  };
}

export function checkRequestToProto(request: CheckRequest): proto.CheckNetworkRequest {
  return create(proto.CheckNetworkRequestSchema, {
    target: targetToProto(request.target),
    interface: request.interface,
  });
}

export function checkRequestFromProto(message: proto.CheckNetworkRequest): CheckRequest {
  return { target: requiredTarget(message.target), interface: message.interface };
}

function requiredTarget(target: proto.Target | undefined): Target {
  if (!target) throw new PodplugError("INVALID_REQUEST", "target is missing");
  return targetFromProto(target);
}
