import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import {
  type ListPodSandboxResponse,
  ListPodSandboxResponseSchema,
  type PodSandboxStatusResponse,
  PodSandboxStatusResponseSchema,
} from "../../gen/runtime/v1/api_pb.ts";

const directory = join(import.meta.dirname, "../fixtures/runtimes");

/** What a real runtime answered: see test/fixtures/runtimes/README.md. */
export function recorded(name: string): JsonValue {
  return JSON.parse(readFileSync(join(directory, `${name}.json`), "utf8")) as JsonValue;
}

interface RecordedStatus {
  readonly status: { readonly createdAt: string };
  readonly info: object;
}

/** A verbose PodSandboxStatus, as the message that crictl got. */
export function recordedStatus(name: string): PodSandboxStatusResponse {
  const { status, info } = recorded(name) as unknown as RecordedStatus;
  // crictl shows nanoseconds as a date, and parses what stands under the key `info`.
  const createdAt = `${Date.parse(status.createdAt)}000000`;
  const message = { status: { ...status, createdAt }, info: { info: JSON.stringify(info) } };
  return fromJson(PodSandboxStatusResponseSchema, message as JsonValue, { ignoreUnknownFields: true });
}

export function recordedList(name: string): ListPodSandboxResponse {
  return fromJson(ListPodSandboxResponseSchema, recorded(name), { ignoreUnknownFields: true });
}
