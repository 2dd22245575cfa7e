import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import type { Failure } from "../domain/errors.ts";

export function failureToProto(failure: Failure): proto.Failure {
  return create(proto.FailureSchema, {
    reason: failure.reason,
    message: failure.message,
    plugin: failure.plugin ?? "",
    cniCode: isCniCode(failure.cniCode) ? failure.cniCode : 0,
    details: failure.details ?? "",
    retryable: failure.retryable,
    ...(isDuration(failure.retryAfterMs) && { retryAfter: durationFromMs(Math.round(failure.retryAfterMs)) }),
  });
}

/** The reason stays as it came: a newer version may have words that this one doesn't know. */
export function failureFromProto(message: proto.Failure): Failure {
  return {
    reason: message.reason,
    message: message.message,
    plugin: message.plugin || undefined,
    cniCode: message.cniCode || undefined,
    details: message.details || undefined,
    retryable: message.retryable,
    retryAfterMs: message.retryAfter && durationMs(message.retryAfter),
  };
}

// A plugin may print any number as its code; one that isn't a uint32 must not
// keep the rest of the failure from arriving.
function isCniCode(code: number | undefined): code is number {
  return code !== undefined && Number.isInteger(code) && code >= 0 && code <= 0xffff_ffff;
}

function isDuration(ms: number | undefined): ms is number {
  return ms !== undefined && Number.isFinite(ms) && ms >= 0;
}
