import fc, { type Arbitrary } from "fast-check";
import type { Failure } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type {
  AttachmentChoice,
  AttachRequest,
  DetachRequest,
  InterfaceEvent,
  PodInterface,
} from "../../src/domain/node-api.ts";
import { type NetworkSelection, networkSources } from "../../src/domain/selection.ts";
import type { PodRef, Target } from "../../src/domain/target.ts";

// Values as rooms make them: an absent key isn't written as an empty one.

const text = fc.string({ unit: "binary", maxLength: 20 });
const word = fc.string({ unit: "binary", minLength: 1, maxLength: 20 });
const uint32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bits = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const port = fc.integer({ min: 1, max: 65_535 });

// As it is read from JSON text, which knows no negative zero.
const jsonObject: Arbitrary<JsonObject> = fc
  .dictionary(
    fc.string({ unit: "binary", maxLength: 10 }),
    fc.jsonValue({ depthSize: "small", stringUnit: "binary" }),
  )
  .map((value) => JSON.parse(JSON.stringify(value)));

const podRef: Arbitrary<PodRef> = fc.record(
  { namespace: word, name: word, uid: word },
  { requiredKeys: ["namespace", "name"] },
);

export const target: Arbitrary<Target> = fc.oneof(
  fc.record({ kind: fc.constant("pod" as const), pod: podRef }),
  fc.record({ kind: fc.constant("container" as const), containerId: word }),
  fc.record({ kind: fc.constant("netns" as const), netns: word }),
);

const selection: Arbitrary<NetworkSelection> = fc.record(
  {
    name: word,
    namespace: word,
    interface: word,
    ips: fc.array(text, { minLength: 1, maxLength: 4 }),
    mac: word,
    defaultRoute: fc.record({ gateways: fc.array(text, { maxLength: 3 }) }),
    cniArgs: jsonObject,
    bandwidth: fc.record(
      { ingressRate: bits, ingressBurst: bits, egressRate: bits, egressBurst: bits },
      { requiredKeys: [] },
    ),
    portMappings: fc.array(
      fc.record(
        { hostPort: port, containerPort: port, protocol: word, hostIp: word },
        { requiredKeys: ["hostPort", "containerPort"] },
      ),
      { minLength: 1, maxLength: 3 },
    ),
    infinibandGuid: word,
    deviceId: word,
    config: word,
    ipamClaimReference: word,
    source: fc.constantFrom(...networkSources),
  },
  { requiredKeys: [] },
);

const failure: Arbitrary<Failure> = fc.record(
  {
    reason: word,
    message: text,
    plugin: word,
    cniCode: fc.integer({ min: 1, max: 0xffff_ffff }),
    details: word,
    retryable: fc.boolean(),
    retryAfterMs: fc.integer({ min: 0, max: 1e9 }),
  },
  { requiredKeys: ["reason", "message", "retryable"] },
);

export const podInterface: Arbitrary<PodInterface> = fc.record(
  {
    pod: podRef,
    sandboxId: text,
    netns: text,
    name: text,
    mac: text,
    ips: fc.array(text, { maxLength: 3 }),
    gateways: fc.array(text, { maxLength: 3 }),
    mtu: uint32,
    up: fc.boolean(),
    index: uint32,
    network: text,
    origin: fc.constantFrom("podplug" as const, "pod" as const),
    state: fc.constantFrom(
      "attaching" as const,
      "attached" as const,
      "detaching" as const,
      "waiting" as const,
      "failed" as const,
    ),
    attachedAt: fc.date({
      min: new Date("0001-01-01T00:00:00Z"),
      max: new Date("9999-12-31T23:59:59Z"),
      noInvalidDate: true,
    }),
    deviceId: text,
    failure,
    attachmentId: text,
    owner: text,
    key: text,
    selection,
    cniResult: jsonObject,
  },
  {
    requiredKeys: [
      "sandboxId",
      "netns",
      "name",
      "mac",
      "ips",
      "gateways",
      "mtu",
      "up",
      "index",
      "network",
      "origin",
      "deviceId",
      "attachmentId",
      "owner",
      "key",
    ],
  },
);

export const attachRequest: Arbitrary<AttachRequest> = fc.record(
  {
    target,
    network: selection,
    validateOnly: fc.boolean(),
    owner: word,
    key: word,
    replace: fc.boolean(),
    adopt: fc.boolean(),
  },
  { requiredKeys: ["target", "network", "validateOnly", "replace", "adopt"] },
);

const choice: Arbitrary<AttachmentChoice> = fc.oneof(
  fc.record({ by: fc.constant("interface" as const), interface: text }),
  fc.record({ by: fc.constant("network" as const), network: text }),
  fc.record({ by: fc.constant("id" as const), attachmentId: text }),
);

export const detachRequest: Arbitrary<DetachRequest> = fc.record(
  { target, which: choice, force: fc.boolean() },
  { requiredKeys: ["which", "force"] },
);

export const event: Arbitrary<InterfaceEvent> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("present" as const, "attached" as const, "detached" as const, "changed" as const),
    interface: podInterface,
  }),
  fc.record({ kind: fc.constant("synced" as const) }),
  fc.record({ kind: fc.constant("failed" as const), interface: podInterface, failure }),
);
