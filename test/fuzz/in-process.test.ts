import {
  create,
  type DescMessage,
  fromBinary,
  fromJsonString,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import { createValidator } from "@bufbuild/protovalidate";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { decodeRecord, encodeRecord } from "../../src/attachments/record-file.ts";
import { cacheKind, decodeCacheEntry, encodeCacheEntry } from "../../src/cni/cache.ts";
import { printNetworkList, readNetworkList } from "../../src/cni/network-list.ts";
import { failureOfExit } from "../../src/cni/plugin-outcome.ts";
import { convertResult, readResult, toNewestResult } from "../../src/cni/results.ts";
import { cniVersions } from "../../src/cni/versions.ts";
import { parseConfig, refuseContradictions } from "../../src/config.ts";
import { readIntent } from "../../src/contiv/read-intent.ts";
import { kaloomAnnotation } from "../../src/controller/annotations/kaloom.ts";
import { npwgAnnotation } from "../../src/controller/annotations/npwg.ts";
import { readStatus } from "../../src/controller/status-entries.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { normalizeSelection } from "../../src/domain/selection.ts";
import {
  attachRequestFromProto,
  attachRequestToProto,
  checkRequestFromProto,
  checkRequestToProto,
  detachRequestFromProto,
  detachRequestToProto,
  listRequestFromProto,
  listRequestToProto,
} from "../../src/wire/requests.ts";
import { structToProto } from "../../src/wire/struct.ts";
import { recordOf } from "../attachments/records.ts";
import { example } from "../contiv/example.ts";
import { attachRequest, detachRequest, target } from "../wire/domain-values.ts";
import { byteStrings, texts } from "./inputs.ts";
import { fuzz, fuzzTimeoutMs } from "./run.ts";
import { annotations, configurations, networkLists, outputs, statuses } from "./samples.ts";

/** What came of it; whatever isn't ours is a fault. */
function orRefusal<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof PodplugError && error.kind !== "internal") return undefined;
    throw error;
  }
}

/** What a library throws is an error of the request; an exhausted stack isn't. */
function decoded<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Error && !/call stack/i.test(error.message)) return undefined;
    throw error;
  }
}

const validator = createValidator();
const seed = { seed: 42, numRuns: 40 };

interface Method<Desc extends DescMessage = DescMessage> {
  readonly schema: Desc;
  readonly samples: readonly MessageShape<Desc>[];
  readonly read: (message: MessageShape<Desc>) => unknown;
}
const method = <Desc extends DescMessage>(each: Method<Desc>): Method => each;

const methods: readonly Method[] = [
  method({
    schema: proto.AttachNetworkRequestSchema,
    samples: fc.sample(attachRequest, seed).map(attachRequestToProto),
    read: (message) => normalizeSelection(attachRequestFromProto(message).network),
  }),
  method({
    schema: proto.DetachNetworkRequestSchema,
    samples: fc.sample(detachRequest, seed).map(detachRequestToProto),
    read: detachRequestFromProto,
  }),
  method({
    schema: proto.ListInterfacesRequestSchema,
    samples: fc.sample(target, seed).map((each) => listRequestToProto({ target: each })),
    read: listRequestFromProto,
  }),
  method({
    schema: proto.CheckNetworkRequestSchema,
    samples: fc.sample(target, seed).map((each) => checkRequestToProto({ target: each, interface: "net1" })),
    read: checkRequestFromProto,
  }),
];

function takeMessage({ schema, read }: Method, message: MessageShape<DescMessage> | undefined): void {
  if (!message) return;
  const result = validator.validate(schema, message);
  if (result.kind === "error") throw result.error;
  if (result.kind === "valid") orRefusal(() => read(message));
}

describe("no input breaks", () => {
  test(
    "what reads RPC bodies of JSON",
    () =>
      fuzz(
        fc.oneof(
          ...methods.map((each) =>
            texts(each.samples.map((sample) => toJsonString(each.schema, sample))).map((text) => ({
              each,
              text,
            })),
          ),
        ),
        ({ each, text }) =>
          takeMessage(
            each,
            decoded(() => fromJsonString(each.schema, text, { ignoreUnknownFields: false })),
          ),
      ),
    fuzzTimeoutMs,
  );

  test(
    "what reads RPC bodies of protobuf",
    () =>
      fuzz(
        fc.oneof(
          ...methods.map((each) =>
            byteStrings(each.samples.map((sample) => toBinary(each.schema, sample))).map((bytes) => ({
              each,
              bytes,
            })),
          ),
        ),
        ({ each, bytes }) =>
          takeMessage(
            each,
            decoded(() => fromBinary(each.schema, bytes)),
          ),
      ),
    fuzzTimeoutMs,
  );

  test.each([npwgAnnotation, kaloomAnnotation])(
    "what reads the annotation $annotation",
    ({ read }) =>
      fuzz(texts(annotations), (text) => {
        const wanted = read(text, "demo");
        if (wanted.kind === "invalid") return;
        for (const { selection } of wanted.selections) orRefusal(() => normalizeSelection(selection));
      }),
    fuzzTimeoutMs,
  );

  test(
    "what reads CNI configurations",
    () =>
      fuzz(texts(networkLists), (text) => {
        const options = { source: "the fuzzer", defaultName: "blue" };
        const list = orRefusal(() => readNetworkList(text, options));
        if (!list) return;
        const printed = printNetworkList(list);
        expect(printNetworkList(readNetworkList(printed, options))).toBe(printed);
      }),
    fuzzTimeoutMs,
  );

  test(
    "what reads plugins' output",
    () =>
      fuzz(texts(outputs), (text) => {
        for (const command of ["ADD", "DEL"] as const) {
          for (const exitCode of [0, 1]) {
            failureOfExit({ exitCode, signal: null, stdout: text, stderr: text }, "fuzzed", command);
          }
        }
        for (const version of ["0.2.0", "1.0.0"] as const) {
          const result = orRefusal(() => readResult(text, version));
          if (!result) continue;
          // What is accepted is kept and told to clients.
          const cniResult = orRefusal(() => toNewestResult(result));
          if (cniResult) {
            const told = create(proto.InterfaceSchema, { cniResult: structToProto(cniResult) });
            fromBinary(proto.InterfaceSchema, toBinary(proto.InterfaceSchema, told));
            JSON.stringify(cniResult);
          }
          for (const other of cniVersions) orRefusal(() => convertResult(result, other));
        }
      }),
    fuzzTimeoutMs,
  );

  test(
    "what reads journal files",
    () => {
      const whole = encodeRecord(recordOf());
      const broken = encodeRecord(
        recordOf({ state: "failed", target: { kind: "pod", pod: { namespace: "demo", name: "web" } } }),
      );
      return fuzz(byteStrings([whole, broken].map((text) => Buffer.from(text))), (bytes) => {
        const file = decodeRecord(bytes);
        if (file.kind !== "record") return;
        expect(decodeRecord(Buffer.from(encodeRecord(file.record)))).toMatchObject({ kind: "record" });
      });
    },
    fuzzTimeoutMs,
  );

  test(
    "what reads other runtimes' attachments",
    () => {
      const { chain, ifName } = recordOf();
      const entry = encodeCacheEntry({ kind: cacheKind, containerId: "c-1", ifName, ...chain });
      return fuzz(texts([JSON.stringify(entry)]), (text) => {
        try {
          decodeCacheEntry(text);
        } catch (error) {
          expect(error).toMatchObject({ reason: "JOURNAL_FAILED" });
        }
      });
    },
    fuzzTimeoutMs,
  );

  test(
    "what reads the configuration",
    () =>
      fuzz(texts(configurations), (text) => {
        const config = orRefusal(() => parseConfig(text, "podplug.yaml"));
        if (config) orRefusal(() => refuseContradictions(config));
      }),
    fuzzTimeoutMs,
  );

  test(
    "what reads contiv's intent",
    () => fuzz(texts([JSON.stringify(example)]), (text) => void readIntent(text)),
    fuzzTimeoutMs,
  );

  test(
    "what reads network-status",
    () => fuzz(texts(statuses), (text) => void readStatus(text)),
    fuzzTimeoutMs,
  );
});
