import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Reason } from "../../src/domain/reasons.ts";
import type { NetworkSelection } from "../../src/domain/selection.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { createRefusals, type Refusals } from "./refusals.ts";

/*
 * Selections that a whole agent must refuse: by plain HTTP/1.1 with a JSON
 * body, and by the typed client. None changes anything.
 */

let refusals: Refusals;

beforeAll(async () => {
  refusals = await createRefusals();
});

afterAll(() => refusals[Symbol.asyncDispose]());

const long = "x".repeat(254);
const inline = (config: object): NetworkSelection => ({ config: JSON.stringify(config) });
const blue = (more: NetworkSelection): NetworkSelection => ({ name: "blue", ...more });

const selections: readonly (readonly [NetworkSelection, Reason, string])[] = [
  [{}, "INVALID_SELECTION", "neither a name nor an inline config is given"],
  [{ name: "-a" }, "INVALID_SELECTION", "name \"-a\" isn't a network's name"],
  [{ name: "../blue" }, "INVALID_SELECTION", "isn't a network's name"],
  [{ name: long }, "INVALID_REQUEST", "network.name must be at most 253 characters"],
  [{ name: "none" }, "NETWORK_NOT_FOUND", "no network none"],
  [blue({ namespace: "No" }), "INVALID_SELECTION", "namespace \"No\" isn't a namespace's name"],
  [blue({ namespace: "demo" }), "NETWORK_NOT_FOUND", "demo/blue"],
  [blue({ interface: "x".repeat(16) }), "INVALID_REQUEST", "network.interface must be at most 15 bytes"],
  [blue({ interface: "ä".repeat(8) }), "INVALID_REQUEST", "network.interface must be at most 15 bytes"],
  [blue({ interface: "a b" }), "INVALID_SELECTION", 'interface "a b" isn\'t an interface name'],
  [blue({ interface: "a/b" }), "INVALID_SELECTION", 'interface "a/b" isn\'t an interface name'],
  [blue({ interface: "a:1" }), "INVALID_SELECTION", 'interface "a:1" isn\'t an interface name'],
  [blue({ interface: ".." }), "INVALID_SELECTION", 'interface ".." isn\'t an interface name'],
  [blue({ interface: "lo" }), "INVALID_SELECTION", "interface lo is the pod's own"],
  [blue({ ips: ["10.0.0.300"] }), "INVALID_SELECTION", 'ips: "10.0.0.300" isn\'t an IP address'],
  [blue({ ips: ["10.0.0.1/33"] }), "INVALID_SELECTION", 'ips: "10.0.0.1/33" isn\'t an IP address'],
  [blue({ ips: ["fe80::1%eth0"] }), "INVALID_SELECTION", "isn't an IP address"],
  [blue({ ips: ["10.0.0.1", "10.0.0.1"] }), "INVALID_SELECTION", "ips names an address twice"],
  [blue({ ips: [""] }), "INVALID_SELECTION", 'ips: "" isn\'t an IP address'],
  [blue({ ips: Array(65).fill("::1") }), "INVALID_REQUEST", "network.ips must contain no more than 64"],
  [blue({ ips: ["10.0.0.1"] }), "CAPABILITY_NOT_DECLARED", "no plugin of network blue declares"],
  [blue({ ips: ["::1"], ipamClaimReference: "c" }), "INVALID_SELECTION", "exclude each other"],
  [blue({ ipamClaimReference: "c" }), "UNSUPPORTED", "in a pod's annotation alone"],
  [blue({ mac: "no" }), "INVALID_SELECTION", 'mac "no" isn\'t a unicast hardware address'],
  [blue({ mac: "01:00:00:00:00:01" }), "INVALID_SELECTION", "isn't a unicast hardware address"],
  [blue({ mac: "00:00:00:00:00:00" }), "INVALID_SELECTION", "isn't a unicast hardware address"],
  [blue({ mac: "02:00:00:00:00:01" }), "CAPABILITY_NOT_DECLARED", "declares the capability mac"],
  [blue({ mac: long }), "INVALID_REQUEST", "network.mac must be at most 64 characters"],
  [blue({ infinibandGuid: "x" }), "INVALID_SELECTION", "isn't eight hex bytes with colons"],
  [blue({ infinibandGuid: "c2:11:22:33:44:55:66:77" }), "CAPABILITY_NOT_DECLARED", "infinibandGUID"],
  [blue({ deviceId: long }), "INVALID_REQUEST", "network.device_id must be at most 253 characters"],
  [blue({ defaultRoute: { gateways: ["x"] } }), "INVALID_SELECTION", 'default-route: "x" isn\'t an IP'],
  [blue({ defaultRoute: { gateways: ["::1%eth0"] } }), "INVALID_SELECTION", "isn't an IP address"],
  [blue({ defaultRoute: { gateways: ["10.0.0.1", "10.0.0.2"] } }), "INVALID_SELECTION", "one IPv4 gateway"],
  [blue({ defaultRoute: { gateways: ["fd00::1", "fd00::2"] } }), "INVALID_SELECTION", "one IPv6 gateway"],
  [blue({ bandwidth: { ingressBurst: 1 } }), "INVALID_SELECTION", "ingressBurst needs ingressRate"],
  [blue({ bandwidth: { egressBurst: 1 } }), "INVALID_SELECTION", "egressBurst needs egressRate"],
  [blue({ bandwidth: { ingressRate: 1000 } }), "CAPABILITY_NOT_DECLARED", "the capability bandwidth"],
  [
    blue({ portMappings: [{ hostPort: 0, containerPort: 1 }] }),
    "INVALID_REQUEST",
    "network.port_mappings[0].host_port must be greater than or equal to 1",
  ],
  [
    blue({ portMappings: [{ hostPort: 1, containerPort: 1, protocol: "icmp" }] }),
    "INVALID_SELECTION",
    'protocol "icmp" isn\'t tcp, udp or sctp',
  ],
  [
    blue({ portMappings: [{ hostPort: 1, containerPort: 1, hostIp: "x" }] }),
    "INVALID_SELECTION",
    'hostIP "x" isn\'t an IP address',
  ],
  [
    blue({
      portMappings: [
        { hostPort: 1, containerPort: 1 },
        { hostPort: 1, containerPort: 2, protocol: "TCP" },
      ],
    }),
    "INVALID_SELECTION",
    "names a host port twice",
  ],
  [
    blue({ portMappings: [{ hostPort: 1, containerPort: 1 }] }),
    "CAPABILITY_NOT_DECLARED",
    "the capability portMappings",
  ],
  [blue({ config: "{}" }), "INVALID_SELECTION", "name and config exclude each other"],
  [{ config: "{" }, "INVALID_NETWORK", "the inline configuration isn't JSON"],
  [inline({}), "INVALID_NETWORK", "name: missing"],
  [inline({ name: "x", plugins: [] }), "INVALID_NETWORK", "plugins"],
  [inline({ name: "x", plugins: [{ type: "../x" }] }), "INVALID_NETWORK", "isn't a plugin's name"],
  [inline({ cniVersion: "9.0.0", name: "x", type: "bridge" }), "VERSION_UNSUPPORTED", "CNI 9.0.0"],
  [inline({ cniVersion: "1.0.0", name: "x", type: "nosuch" }), "PLUGIN_NOT_FOUND", "plugin nosuch"],
  [{ source: "inline" }, "INVALID_SELECTION", "source is inline but no config is given"],
  [{ source: "directory", config: "{}" }, "INVALID_SELECTION", "exclude each other"],
  [blue({ source: "kaloom" }), "UNSUPPORTED", "kaloom isn't configured on this node"],
];

describe("a selection", () => {
  const cases = selections.map(([network, reason, inMessage]) => ({ network, reason, inMessage }));

  test.each(cases)("is refused with $reason: $inMessage", async ({ network, reason, inMessage }) => {
    const asked = { target: { netns: refusals.netns }, network: { ...network, ...sourceOnTheWire(network) } };
    await refusals.expectRefusal("AttachNetwork", asked, reason, inMessage);
    await refusals.expectRefusal("AttachNetwork", { ...asked, validateOnly: true }, reason, inMessage);
    const target = { kind: "netns", netns: refusals.netns } as const;
    await expect(refusals.client.attach({ target, network }, neverAborted)).rejects.toEqual(
      failure(reason, inMessage),
    );
    await refusals.expectNothingChanged();
  });
});

const sourcesOnTheWire: Readonly<Record<string, string>> = {
  inline: "NETWORK_SOURCE_INLINE",
  directory: "NETWORK_SOURCE_DIRECTORY",
  kaloom: "NETWORK_SOURCE_KALOOM",
};

function sourceOnTheWire({ source }: NetworkSelection): object {
  return source ? { source: sourcesOnTheWire[source] } : {};
}
