import { afterEach, beforeEach, expect, test } from "vitest";
import type { NetworkSelection } from "../../src/domain/selection.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type AgentHere, startAgentHere } from "./agent-here.ts";

/*
 * What a selection asks for beside its network, by a whole agent with the
 * reference plugins, in a namespace that has a network and default routes of
 * its own.
 */

let stack: AsyncDisposableStack;
let node: TestNode;
let pod: TestNetns;
let agent: AgentHere;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  node = stack.use(await makeNode());
  pod = stack.use(await makeNetns("keys"));
  await pod.ip("link", "add", "eth0", "type", "veth", "peer", "name", "eth0-peer");
  await pod.ip("addr", "add", "192.0.2.2/24", "dev", "eth0");
  await pod.ip("addr", "add", "2001:db8::2/64", "dev", "eth0", "nodad");
  await pod.ip("link", "set", "eth0-peer", "up");
  await pod.ip("link", "set", "eth0", "up");
  await pod.ip("route", "add", "default", "via", "192.0.2.1", "metric", "100", "src", "192.0.2.2");
  await pod.ip("-6", "route", "add", "default", "via", "2001:db8::1");
  agent = stack.use(await startAgentHere(node));
});
afterEach(() => stack.disposeAsync());

const target = () => ({ kind: "netns", netns: pod.path }) as const;

async function attach(network: NetworkSelection): Promise<void> {
  await agent.client.attach({ target: target(), network }, neverAborted);
}

async function detach(name: string): Promise<void> {
  await agent.client.detach({ target: target(), which: { by: "interface", interface: name } }, neverAborted);
}

async function routes() {
  return {
    ipv4: await pod.ipJson<object[]>("-4", "route", "show", "default"),
    ipv6: await pod.ipJson<object[]>("-6", "route", "show", "default"),
  };
}

test("the default route goes through the gateway, and on detach is as it was", async () => {
  const before = await routes();
  await attach({ name: "blue", interface: "net1", defaultRoute: { gateways: [node.gateway] } });
  expect((await routes()).ipv4).toMatchObject([{ gateway: node.gateway, dev: "net1" }]);
  expect((await routes()).ipv6).toEqual(before.ipv6);
  await detach("net1");
  expect(await routes()).toEqual(before);
});

test("with an empty list the plugin's own default route stays alone", async () => {
  await node.defineNetwork("gateway", [node.bridgePlugin({ isDefaultGateway: true })]);
  const before = await routes();
  await attach({ name: "gateway", interface: "net1", defaultRoute: { gateways: [] } });
  expect((await routes()).ipv4).toMatchObject([{ gateway: node.gateway, dev: "net1" }]);
  expect((await routes()).ipv6).toEqual(before.ipv6);
  await detach("net1");
  expect(await routes()).toEqual(before);
});

test("of two attachments the first may go first, after a restart too", async () => {
  const before = await routes();
  const defaultRoute = { gateways: [node.gateway] };
  await attach({ name: "blue", interface: "net1", defaultRoute });
  await attach({ name: "blue", interface: "net2", defaultRoute });
  await detach("net1");
  expect((await routes()).ipv4).toMatchObject([{ gateway: node.gateway, dev: "net2" }]);
  await agent[Symbol.asyncDispose]();
  const next = await startAgentHere(node);
  stack.use(next);
  agent = next;
  await detach("net2");
  expect(await routes()).toEqual(before);
});

test("a gateway that the network doesn't reach fails the attachment whole", async () => {
  const before = await routes();
  const asked = attach({ name: "blue", interface: "net1", defaultRoute: { gateways: ["198.51.100.1"] } });
  await expect(asked).rejects.toEqual(failure("GATEWAY_OUT_OF_REACH", "198.51.100.1"));
  expect(await routes()).toEqual(before);
  expect(await pod.ipJson<object[]>("link", "show")).toHaveLength(3);
  expect(await node.leases()).toEqual([]);
  expect(await node.journalFiles()).toEqual([]);
});

test("a rate without a burst is one that the bandwidth plugin takes", async () => {
  await node.defineNetwork("shaped", [
    node.bridgePlugin(),
    { type: "bandwidth", capabilities: { bandwidth: true } },
  ]);
  await attach({ name: "shaped", interface: "net1", bandwidth: { ingressRate: 8_000_000 } });
  await attach({ name: "shaped", interface: "net2", bandwidth: { egressRate: 8_000_000 } });
  await detach("net1");
  await detach("net2");
  expect(await node.leases()).toEqual([]);
});
