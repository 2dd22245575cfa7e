import { Code, ConnectError } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { asPodplugError, type Failure, failureOf, PodplugError } from "../domain/errors.ts";
import { type ErrorKind, isReason, kinds, type Reason } from "../domain/reasons.ts";
import { failureFromProto, failureToProto } from "./failure.ts";

// gRPC carries an error in HTTP trailers, its message twice more than once
// encoded. Some clients take 8 KiB of them in all (grpc-java's default).
const maxMessageBytes = 1024;
const maxDetailsBytes = 2048;

/** Any thrown thing as it goes over the wire: the code of its kind, and a `podplug.v1.Failure` as its detail. */
export function connectErrorOf(thrown: unknown): ConnectError {
  const error = asPodplugError(thrown);
  const failure = failureOf(error);
  const message = cut(failure.message, maxMessageBytes);
  const detail = failureToProto({ ...failure, message, details: cutDetails(failure) });
  return new ConnectError(
    message,
    codeOf(error.kind),
    undefined,
    [{ desc: proto.FailureSchema, value: detail }],
    error,
  );
}

/**
 * What a call threw, as ours: by the Failure in its details, else by its code.
 * A reason of a newer version becomes the general one of its code, and its
 * word stays in the message.
 */
export function podplugErrorOf(thrown: unknown): PodplugError {
  const own = asPodplugError(thrown);
  if (own.reason !== "INTERNAL" || own === thrown) return own;
  const error = ConnectError.from(thrown, Code.Internal);
  const [detail] = error.findDetails(proto.FailureSchema);
  if (!detail) return new PodplugError(reasonWithoutDetail(error.code), error.rawMessage, { cause: thrown });
  const failure = failureFromProto(detail);
  const facts = { ...failure, cause: thrown };
  return isReason(failure.reason)
    ? new PodplugError(failure.reason, failure.message, facts)
    : new PodplugError(reasonOf(error.code), `${failure.message} (${failure.reason})`, facts);
}

function codeOf(kind: ErrorKind): Code {
  return codeFromString(kinds[kind].code) ?? Code.Internal;
}

/** The most general reason of a code: for the words of a newer version. */
function reasonOf(code: Code): Reason {
  switch (code) {
    case Code.InvalidArgument:
    case Code.OutOfRange:
      return "INVALID_REQUEST";
    case Code.NotFound:
      return "TARGET_NOT_FOUND";
    case Code.AlreadyExists:
      return "INTERFACE_IN_USE";
    case Code.FailedPrecondition:
      return "SANDBOX_NOT_READY";
    case Code.Aborted:
      return "PLUGIN_FAILED";
    case Code.PermissionDenied:
      return "DENIED";
    case Code.Unauthenticated:
      return "UNAUTHENTICATED";
    case Code.Unimplemented:
      return "UNSUPPORTED";
    case Code.ResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code.DeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code.Canceled:
      return "CANCELED";
    case Code.Unavailable:
      return "UNREACHABLE";
    case Code.Unknown:
    case Code.Internal:
    case Code.DataLoss:
      return "INTERNAL";
  }
}

/**
 * An error without our detail comes from the transport, from a proxy or from
 * reading the request, none of which knows anything of pods or plugins.
 */
function reasonWithoutDetail(code: Code): Reason {
  switch (code) {
    case Code.NotFound:
    case Code.AlreadyExists:
    case Code.FailedPrecondition:
      return "INTERNAL";
    case Code.Aborted:
      // A stream or a connection that was reset.
      return "UNREACHABLE";
    default:
      return reasonOf(code);
  }
}

function cutDetails({ details }: Failure): string | undefined {
  return details === undefined ? undefined : cut(details, maxDetailsBytes);
}

function cut(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  const mark = "…";
  let end = maxBytes - Buffer.byteLength(mark);
  // Not within a character: bytes 10xxxxxx go on with the one before.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return bytes.toString("utf8", 0, end) + mark;
}
