import {
  type DescMessage,
  fromBinary,
  fromJsonString,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";
import fc, { type Arbitrary } from "fast-check";
import { describe, expect, test } from "vitest";
import * as proto from "../../gen/podplug/v1/node_pb.ts";
import {
  attachAnswerFromProto,
  attachAnswerToProto,
  detachAnswerFromProto,
  detachAnswerToProto,
  listAnswerFromProto,
  listAnswerToProto,
  nodeInfoFromProto,
  nodeInfoToProto,
} from "../../src/wire/answers.ts";
import { eventFromProto, eventToProto } from "../../src/wire/events.ts";
import {
  attachRequestFromProto,
  attachRequestToProto,
  checkRequestFromProto,
  checkRequestToProto,
  detachRequestFromProto,
  detachRequestToProto,
  listRequestFromProto,
  listRequestToProto,
  watchRequestToProto,
} from "../../src/wire/requests.ts";
import { attachRequest, detachRequest, event, podInterface, target } from "./domain-values.ts";

/** Through the message, and through both of its forms on the wire. */
function roundTrip<Desc extends DescMessage, T>(
  name: string,
  options: {
    schema: Desc;
    values: Arbitrary<T>;
    toProto: (value: T) => MessageShape<Desc>;
    fromProto: (message: MessageShape<Desc>) => unknown;
  },
): void {
  const { schema, values, toProto, fromProto } = options;
  test(name, () => {
    fc.assert(
      fc.property(values, (value) => {
        const message = toProto(value);
        expect(fromProto(fromBinary(schema, toBinary(schema, message)))).toEqual(value);
        expect(fromProto(fromJsonString(schema, toJsonString(schema, message)))).toEqual(value);
      }),
      { numRuns: 150 },
    );
  });
}

const list = fc.record({ target }, { requiredKeys: [] });

describe("what goes over the wire comes back the same", () => {
  roundTrip("an attach request", {
    schema: proto.AttachNetworkRequestSchema,
    values: attachRequest,
    toProto: attachRequestToProto,
    fromProto: attachRequestFromProto,
  });
  roundTrip("an attach answer", {
    schema: proto.AttachNetworkResponseSchema,
    values: fc.record({ interface: podInterface, created: fc.boolean() }),
    toProto: attachAnswerToProto,
    fromProto: attachAnswerFromProto,
  });
  roundTrip("a detach request", {
    schema: proto.DetachNetworkRequestSchema,
    values: detachRequest,
    toProto: detachRequestToProto,
    fromProto: detachRequestFromProto,
  });
  roundTrip("a detach answer", {
    schema: proto.DetachNetworkResponseSchema,
    values: fc.record({ detached: fc.boolean(), interface: podInterface }, { requiredKeys: ["detached"] }),
    toProto: detachAnswerToProto,
    fromProto: detachAnswerFromProto,
  });
  roundTrip("a list request", {
    schema: proto.ListInterfacesRequestSchema,
    values: list,
    toProto: listRequestToProto,
    fromProto: listRequestFromProto,
  });
  roundTrip("a list", {
    schema: proto.ListInterfacesResponseSchema,
    values: fc.array(podInterface, { maxLength: 3 }),
    toProto: listAnswerToProto,
    fromProto: listAnswerFromProto,
  });
  roundTrip("a watch request", {
    schema: proto.WatchInterfacesRequestSchema,
    values: list,
    toProto: watchRequestToProto,
    fromProto: listRequestFromProto,
  });
  roundTrip("an event", {
    schema: proto.WatchInterfacesResponseSchema,
    values: event,
    toProto: eventToProto,
    fromProto: eventFromProto,
  });
  roundTrip("a check request", {
    schema: proto.CheckNetworkRequestSchema,
    values: fc.record({ target, interface: fc.string() }),
    toProto: checkRequestToProto,
    fromProto: checkRequestFromProto,
  });
  roundTrip("what is known of the node", {
    schema: proto.GetNodeInfoResponseSchema,
    values: fc.record({
      nodeName: fc.string(),
      version: fc.string(),
      runtime: fc.string(),
      executor: fc.string(),
      cniVersions: fc.array(fc.string()),
    }),
    toProto: nodeInfoToProto,
    fromProto: nodeInfoFromProto,
  });
});
