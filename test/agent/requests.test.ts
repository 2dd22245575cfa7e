import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Reason } from "../../src/domain/reasons.ts";
import { postJson } from "./post-json.ts";
import { createRefusals, type Refusals } from "./refusals.ts";

/*
 * Requests that a whole agent must refuse, by plain HTTP/1.1 with a JSON body:
 * most of them can't be said with the typed client. None changes anything.
 */

let refusals: Refusals;

beforeAll(async () => {
  refusals = await createRefusals();
});

afterAll(() => refusals[Symbol.asyncDispose]());

const long = "x".repeat(254);
const nested = (levels: number): object => (levels === 0 ? {} : { a: nested(levels - 1) });

/** `HERE` stands for the namespace, which has its name only when the tests run. */
const target = { netns: "HERE" };
const network = { name: "blue" };
const inHere = (body: unknown): unknown =>
  JSON.parse(JSON.stringify(body).replaceAll('"HERE"', JSON.stringify(refusals.netns)));

type Method = "AttachNetwork" | "DetachNetwork" | "CheckNetwork" | "ListInterfaces" | "GetNodeInfo";

describe("a request with a field out of range", () => {
  const requests: readonly (readonly [Method, object, string])[] = [
    ["AttachNetwork", {}, "target value is required, network value is required"],
    ["AttachNetwork", { target }, "network value is required"],
    ["AttachNetwork", { network }, "target value is required"],
    ["AttachNetwork", { target: {}, network }, "target.target exactly one field is required"],
    ["AttachNetwork", { target: { netns: "" }, network }, "target.netns must be at least 1 characters"],
    ["AttachNetwork", { target: { netns: `/${"x".repeat(4096)}` }, network }, "at most 4096 bytes"],
    [
      "AttachNetwork",
      { target: { pod: { name: "web" } }, network },
      "target.pod.namespace must be at least 1",
    ],
    [
      "AttachNetwork",
      { target: { pod: { namespace: "demo" } }, network },
      "target.pod.name must be at least 1",
    ],
    ["AttachNetwork", { target: { containerId: long }, network }, "target.container_id must be at most 253"],
    ["AttachNetwork", { target, network, owner: long }, "owner must be at most 253 characters"],
    ["AttachNetwork", { target, network, key: long }, "key must be at most 253 characters"],
    ["AttachNetwork", { target, network: { ...network, source: 99 } }, "network.source value must be one of"],
    ["AttachNetwork", { target, network: { ...network, cniArgs: nested(33) } }, "deeper than 32 levels"],
    [
      "AttachNetwork",
      { target, network: { ...network, bandwidth: { ingressRate: "9007199254740992" } } },
      "network.bandwidth.ingress_rate must be less than or equal to 9007199254740991",
    ],
    [
      "AttachNetwork",
      { target, network: { ...network, portMappings: [{ hostPort: 1, containerPort: 65_536 }] } },
      "network.port_mappings[0].container_port must be greater than or equal to 1 and less than",
    ],
    ["DetachNetwork", {}, "target may be absent only with an attachment_id"],
    ["DetachNetwork", { target }, "which exactly one field is required in oneof"],
    ["DetachNetwork", { interface: "net1" }, "target may be absent only with an attachment_id"],
    ["DetachNetwork", { network: "blue" }, "target may be absent only with an attachment_id"],
    ["DetachNetwork", { target, interface: "" }, "interface must be at least 1 characters"],
    ["DetachNetwork", { target, interface: "x".repeat(16) }, "interface must be at most 15 bytes"],
    ["DetachNetwork", { target, network: "x".repeat(508) }, "network must be at most 507 characters"],
    ["DetachNetwork", { target, attachmentId: long }, "attachment_id must be at most 253 characters"],
    ["CheckNetwork", {}, "target value is required, interface must be at least 1 characters"],
    ["CheckNetwork", { interface: "net1" }, "target value is required"],
    ["CheckNetwork", { target }, "interface must be at least 1 characters"],
    ["CheckNetwork", { target, interface: "x".repeat(16) }, "interface must be at most 15 bytes"],
    ["ListInterfaces", { target: {} }, "target.target exactly one field is required"],
  ];
  const cases = requests.map(([method, body, inMessage]) => ({ method, body, inMessage }));

  test.each(cases)("is refused, as in $method: $inMessage", async ({ method, body, inMessage }) => {
    await refusals.expectRefusal(method, inHere(body), "INVALID_REQUEST", inMessage);
    await refusals.expectNothingChanged();
  });
});

describe("a body that isn't one of the contract's", () => {
  const requests: readonly (readonly [Method, unknown, string])[] = [
    ["AttachNetwork", { target, network, netwrok: 1 }, 'key "netwrok" is unknown'],
    ["AttachNetwork", { target, network: { ...network, ip: "10.0.0.1" } }, 'key "ip" is unknown'],
    ["AttachNetwork", { target, network: { name: 7 } }, "NetworkSelection.name from JSON: expected string"],
    ["AttachNetwork", { target, network: { ...network, ips: "10.0.0.1" } }, "ips from JSON: expected Array"],
    ["AttachNetwork", { target, network: { ...network, source: "MOON" } }, '"MOON"'],
    ["AttachNetwork", { target, network: { ...network, cniArgs: "x" } }, "google.protobuf.Struct"],
    ["AttachNetwork", { target, network: { ...network, bandwidth: { ingressRate: -1 } } }, "out of range"],
    ["AttachNetwork", { target, network: { ...network, bandwidth: { egressRate: 1.5 } } }, "out of range"],
    ["AttachNetwork", { target: { ...target, containerId: "c" }, network }, "netns and container_id"],
    ["AttachNetwork", { target, network, replace: "yes" }, "expected boolean"],
    ["DetachNetwork", { target, interface: "net1", network: "blue" }, "interface and network"],
    ["ListInterfaces", { targets: target }, 'key "targets" is unknown'],
    ["ListInterfaces", 7, "ListInterfacesRequest"],
    ["GetNodeInfo", { verbose: true }, 'key "verbose" is unknown'],
  ];
  const cases = requests.map(([method, body, inMessage]) => ({ method, body, inMessage }));

  test.each(cases)("is refused, as in $method: $inMessage", async ({ method, body, inMessage }) => {
    const answer = await postJson(refusals.socket, method, inHere(body));
    expect(answer).toMatchObject({
      status: 400,
      body: { code: "invalid_argument", message: expect.stringContaining(inMessage) as string },
    });
    await refusals.expectNothingChanged();
  });
});

describe("a request that can't be met", () => {
  const requests: readonly (readonly [Method, object, Reason, string])[] = [
    [
      "AttachNetwork",
      { target: { netns: "a/b" }, network },
      "TARGET_INVALID",
      "neither an absolute path nor",
    ],
    [
      "AttachNetwork",
      { target: { netns: "/a\0b" }, network },
      "TARGET_INVALID",
      "neither an absolute path nor",
    ],
    ["AttachNetwork", { target: { netns: ".." }, network }, "TARGET_INVALID", "neither an absolute path nor"],
    [
      "AttachNetwork",
      { target: { netns: `/${long}/x` }, network },
      "TARGET_NOT_FOUND",
      "no network namespace",
    ],
    ["AttachNetwork", { target: { netns: `/${"x".repeat(4095)}` }, network }, "TARGET_INVALID", "not a path"],
    [
      "AttachNetwork",
      { target: { pod: { namespace: "demo", name: "web" } }, network },
      "TARGET_INVALID",
      "runtime netns knows only network namespaces",
    ],
    ["AttachNetwork", { target: { containerId: "c" }, network }, "TARGET_INVALID", "can't find container c"],
    ["AttachNetwork", { target, network, owner: "annotation/npwg" }, "OWNER_RESERVED", "annotation/npwg"],
    ["AttachNetwork", { target, network, owner: "intent/contiv" }, "OWNER_RESERVED", "intent/contiv"],
    ["DetachNetwork", { target, interface: "lo", force: true }, "NOT_DETACHABLE", "isn't an attachment"],
    [
      "DetachNetwork",
      { target: { netns: "nope" }, interface: "net1" },
      "TARGET_NOT_FOUND",
      "/run/netns/nope",
    ],
    ["CheckNetwork", { target, interface: "net1" }, "ATTACHMENT_NOT_FOUND", "has no attachment net1"],
    ["ListInterfaces", { target: { netns: "nope" } }, "TARGET_NOT_FOUND", "/run/netns/nope"],
  ];
  const cases = requests.map(([method, body, reason, inMessage]) => ({ method, body, reason, inMessage }));

  test.each(cases)("is told why, as in $method: $reason, $inMessage", async (each) => {
    const { method, body, reason, inMessage } = each;
    await refusals.expectRefusal(method, inHere(body), reason, inMessage);
    await refusals.expectNothingChanged();
  });

  test("is met by doing nothing when it is to detach what was never there", async () => {
    for (const body of [
      { attachmentId: "never" },
      { target, interface: "net9" },
      { target, network: "red" },
    ]) {
      expect(await postJson(refusals.socket, "DetachNetwork", inHere(body))).toEqual({
        status: 200,
        body: {},
      });
    }
  });
});
