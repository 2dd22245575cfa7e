import { create, fromJsonString, toJsonString } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import { attachAnswerFromProto, listAnswerFromProto } from "../../src/wire/answers.ts";
import { eventFromProto } from "../../src/wire/events.ts";
import {
  attachRequestFromProto,
  checkRequestFromProto,
  detachRequestFromProto,
} from "../../src/wire/requests.ts";
import { selectionFromProto, selectionToProto } from "../../src/wire/selection.ts";

const target = { target: { case: "netns", value: "/run/netns/a" } } as const;
const invalid = expect.objectContaining({ reason: "INVALID_REQUEST" });

describe("a request of a newer version, or an incomplete one", () => {
  test("without a target is refused", () => {
    const network = { name: "net-a" };
    expect(() => attachRequestFromProto(create(proto.AttachNetworkRequestSchema, { network }))).toThrow(
      invalid,
    );
    expect(() => checkRequestFromProto(create(proto.CheckNetworkRequestSchema))).toThrow(invalid);
  });

  test("whose target is of an unknown kind is refused", () => {
    const request = create(proto.AttachNetworkRequestSchema, { target: {}, network: {} });
    expect(() => attachRequestFromProto(request)).toThrow(invalid);
  });

  test("without a network is refused", () => {
    expect(() => attachRequestFromProto(create(proto.AttachNetworkRequestSchema, { target }))).toThrow(
      invalid,
    );
  });

  test("that detaches nothing in particular is refused", () => {
    expect(() => detachRequestFromProto(create(proto.DetachNetworkRequestSchema, { target }))).toThrow(
      invalid,
    );
  });

  test("with an unknown source is refused", () => {
    const selection = create(proto.NetworkSelectionSchema, { source: 77 as proto.NetworkSource });
    expect(() => selectionFromProto(selection)).toThrow(invalid);
  });

  test("with a rate that no number counts exactly is refused", () => {
    const selection = create(proto.NetworkSelectionSchema, { bandwidth: { egressRate: 2n ** 53n } });
    expect(() => selectionFromProto(selection)).toThrow(invalid);
  });

  test("with arguments of too many values is refused", () => {
    const selection = (count: number) =>
      create(proto.NetworkSelectionSchema, { cniArgs: { list: Array.from({ length: count }, () => 1) } });
    // The object and the list count, too.
    expect(selectionFromProto(selection(998)).cniArgs?.["list"]).toHaveLength(998);
    expect(() => selectionFromProto(selection(999))).toThrow("more than 1000 values");
  });

  test("with arguments nested beyond all use is refused", () => {
    const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
    const selection = (levels: number) =>
      fromJsonString(proto.NetworkSelectionSchema, `{"cniArgs":${nested(levels)}}`);
    expect(() => selectionFromProto(selection(33))).toThrow(invalid);
    expect(selectionFromProto(selection(32)).cniArgs).toEqual(JSON.parse(nested(32)));
  });
});

describe("a selection that is no selection", () => {
  test.each([1.5, -1, Number.NaN, 2 ** 60])("with a rate of %d isn't sent", (ingressRate) => {
    expect(() => selectionToProto({ name: "net-a", bandwidth: { ingressRate } })).toThrow(
      expect.objectContaining({ reason: "INVALID_SELECTION" }),
    );
  });

  test.each([1.5, -1, 70_000])("with a port of %d isn't sent", (hostPort) => {
    expect(() => selectionToProto({ name: "net-a", portMappings: [{ hostPort, containerPort: 1 }] })).toThrow(
      expect.objectContaining({ reason: "INVALID_SELECTION" }),
    );
  });

  test("with a key named __proto__ keeps it a key", () => {
    const cniArgs = JSON.parse('{"__proto__":{"admin":true},"a":1}');
    const json = toJsonString(proto.NetworkSelectionSchema, selectionToProto({ name: "net-a", cniArgs }));
    const back = selectionFromProto(fromJsonString(proto.NetworkSelectionSchema, json)).cniArgs;
    expect(Object.keys(back ?? {})).toEqual(["__proto__", "a"]);
    expect(back?.["admin"]).toBeUndefined();
  });
});

describe("an answer of a newer version", () => {
  test("with an event of an unknown kind is skipped", () => {
    const kind = 42 as proto.WatchInterfacesResponse_Kind;
    expect(
      eventFromProto(create(proto.WatchInterfacesResponseSchema, { kind, interface: {} })),
    ).toBeUndefined();
  });

  test("with an event that lacks its interface is skipped", () => {
    const kind = proto.WatchInterfacesResponse_Kind.ATTACHED;
    expect(eventFromProto(create(proto.WatchInterfacesResponseSchema, { kind }))).toBeUndefined();
  });

  test("with an unknown origin and state leaves the interface alone", () => {
    const message = create(proto.ListInterfacesResponseSchema, {
      interfaces: [{ name: "net1", origin: 9 as proto.Origin, state: 9 as proto.AttachmentState }],
    });
    expect(listAnswerFromProto(message)).toMatchObject([{ name: "net1", origin: "pod", state: undefined }]);
  });

  test("without its interface is INTERNAL", () => {
    expect(() => attachAnswerFromProto(create(proto.AttachNetworkResponseSchema))).toThrow(
      expect.objectContaining({ reason: "INTERNAL" }),
    );
  });
});
