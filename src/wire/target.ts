import { create } from "@bufbuild/protobuf";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../domain/errors.ts";
import type { PodRef, Target } from "../domain/target.ts";

export function targetToProto(target: Target): proto.Target {
  switch (target.kind) {
    case "pod":
      return create(proto.TargetSchema, { target: { case: "pod", value: podToProto(target.pod) } });
    case "container":
      return create(proto.TargetSchema, { target: { case: "containerId", value: target.containerId } });
    case "netns":
      return create(proto.TargetSchema, { target: { case: "netns", value: target.netns } });
  }
}

/** Throws INVALID_REQUEST when the message names no target of a kind that this version knows. */
export function targetFromProto({ target }: proto.Target): Target {
  switch (target.case) {
    case "pod":
      return { kind: "pod", pod: podFromProto(target.value) };
    case "containerId":
      return { kind: "container", containerId: target.value };
    case "netns":
      return { kind: "netns", netns: target.value };
    case undefined:
      throw new PodplugError("INVALID_REQUEST", "target names no pod, container or network namespace");
  }
}

export function podToProto(pod: PodRef): proto.PodRef {
  return create(proto.PodRefSchema, { namespace: pod.namespace, name: pod.name, uid: pod.uid ?? "" });
}

export function podFromProto({ namespace, name, uid }: proto.PodRef): PodRef {
  return { namespace, name, uid: uid || undefined };
}
