import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";

/** Resolves with the first answer; asks for ten seconds. */
const ping = (from: TestNetns, to: string): Promise<string> =>
  from.run("ping", "-c", "1", "-i", "0.2", "-w", "10", to);

test("what is attached reaches its gateway and its neighbours, and no longer once it is detached", async () => {
  await using node = await makeNode();
  await using here = await startAgentHere(node);
  await using a = await makeNetns("traffic");
  await using b = await makeNetns("traffic");
  const network = { name: "blue", interface: "net1" };
  const addresses = new Map<TestNetns, string>();
  for (const netns of [a, b]) {
    const target = { kind: "netns", netns: netns.path } as const;
    const answer = await here.client.attach({ target, network }, neverAborted);
    expect(answer.interface.gateways).toEqual([node.gateway]);
    addresses.set(netns, (answer.interface.ips[0] ?? "").split("/")[0] ?? "");
  }

  await ping(a, node.gateway);
  await ping(a, addresses.get(b) ?? "");
  await ping(b, addresses.get(a) ?? "");

  const target = { kind: "netns", netns: a.path } as const;
  await here.client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  await expect(ping(a, node.gateway)).rejects.toThrow();
  await ping(b, node.gateway);
});

test("IPv6 crosses as well", async () => {
  await using node = await makeNode();
  await node.defineNetwork("six", [node.bridgePlugin({ ipam: sixes(node.root) })]);
  await using here = await startAgentHere(node);
  await using a = await makeNetns("traffic");
  await using b = await makeNetns("traffic");
  const addresses: string[] = [];
  for (const netns of [a, b]) {
    const target = { kind: "netns", netns: netns.path } as const;
    const answer = await here.client.attach({ target, network: { name: "six" } }, neverAborted);
    addresses.push((answer.interface.ips[0] ?? "").split("/")[0] ?? "");
  }
  await ping(a, "fd00:66::1");
  await ping(a, addresses[1] ?? "");
});

const sixes = (root: string) => ({
  type: "host-local",
  dataDir: `${root}/leases`,
  ranges: [[{ subnet: "fd00:66::/64" }]],
});
