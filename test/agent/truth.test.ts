import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import type { PodInterface } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";

/*
 * What the API says of an interface is what iproute2 says of it, whatever was
 * done to it since it was attached.
 */

async function startWorld() {
  await using stack = new AsyncDisposableStack();
  // What is deleted stays deleted, for what is told of it.
  const node = stack.use(await makeNode({ config: { healing: { enabled: false } } }));
  await node.defineNetwork("both", [
    node.bridgePlugin({ mtu: 1400, capabilities: { mac: true }, ipam: bothFamilies(node) }),
  ]);
  const netns = stack.use(await makeNetns("truth"));
  const { client } = stack.use(await startAgentHere(node));
  const target = { kind: "netns", netns: netns.path } as const;
  const held = stack.move();
  return {
    node,
    netns,
    attach: (name: string, network: { readonly name: string; readonly mac?: string }) =>
      client.attach({ target, network: { ...network, interface: name } }, neverAborted),
    detach: (name: string) =>
      client.detach({ target, which: { by: "interface", interface: name } }, neverAborted),
    list: () => client.list({ target }, neverAborted),
    check: (name: string) => client.check({ target, interface: name }, neverAborted),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const bothFamilies = ({ root, subnet }: TestNode) => ({
  type: "host-local",
  dataDir: `${root}/leases`,
  ranges: [[{ subnet }], [{ subnet: "fd00:77::/64" }]],
});

async function asIpSaysIt(netns: TestNetns): Promise<readonly object[]> {
  const links = await netns.ipJson<IpLink[]>("addr");
  return links
    .filter(({ ifname }) => ifname !== "lo")
    .map(({ ifindex, ifname, address, mtu, operstate, addr_info }) => ({
      index: ifindex,
      name: ifname,
      mac: address,
      mtu,
      up: operstate === "UP",
      ips: addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`).toSorted(),
    }));
}

/** Looks again when the kernel made a link-local address between two looks. */
async function expectTruth(world: { netns: TestNetns; list(): Promise<readonly PodInterface[]> }) {
  const bothSay = async () => ({
    podplug: (await world.list()).map(kernelPart),
    ip: await asIpSaysIt(world.netns),
  });
  await expect.poll(bothSay).toSatisfy(({ podplug, ip }) => isDeepStrictEqual(podplug, ip));
}

const kernelPart = ({ index, name, mac, mtu, up, ips }: PodInterface): object => ({
  index,
  name,
  mac,
  mtu,
  up,
  ips: ips.toSorted(),
});

test("MAC, MTU, both families' addresses and the index are what the kernel has, in every answer", async () => {
  await using world = await startWorld();
  const mac = "02:00:00:00:77:01";
  const { interface: attached } = await world.attach("net1", { name: "both", mac });
  expect(attached).toMatchObject({ mac, mtu: 1400, up: true });
  expect(attached.ips.filter((ip) => ip.includes(":") && !ip.startsWith("fe80:"))).toHaveLength(1);
  expect(attached.ips.filter((ip) => ip.includes("."))).toHaveLength(1);
  expect(attached.gateways).toEqual([world.node.gateway, "fd00:77::1"]);
  await world.attach("net2", { name: "blue" });
  await expectTruth(world);
  await world.check("net1");

  // Addresses, MTU and name may be changed by whoever owns the pod.
  await world.netns.ip("addr", "add", "192.0.2.7/32", "dev", "net1");
  await world.netns.ip("link", "set", "net1", "mtu", "1300");
  await world.netns.ip("link", "add", "own0", "type", "bridge");
  await expectTruth(world);
  expect((await world.list()).find(({ name }) => name === "own0")).toMatchObject({
    origin: "pod",
    network: "",
    attachmentId: "",
  });
});

test("a link that was renamed by hand is told of by list and check, and its old name isn't mistaken for it", async () => {
  await using world = await startWorld();
  const { interface: attached } = await world.attach("net1", { name: "blue" });
  await world.netns.ip("link", "set", "net1", "down");
  await world.netns.ip("link", "set", "net1", "name", "mine0");
  await world.netns.ip("link", "add", "net1", "type", "bridge");
  const [renamed, namesake, ...others] = (await world.list()).toSorted((a, b) => a.index - b.index);
  expect(renamed).toMatchObject({
    name: "mine0",
    index: attached.index,
    attachmentId: attached.attachmentId,
    state: "failed",
    failure: { reason: "CHECK_FAILED", message: "interface net1 was renamed to mine0" },
  });
  expect(namesake).toMatchObject({ name: "net1", origin: "pod", attachmentId: "" });
  expect(others).toEqual([]);
  await expect(world.check("net1")).rejects.toEqual(
    failure("CHECK_FAILED", "interface net1 was renamed to mine0"),
  );
});

test("a link that was deleted by hand is told of by list and check, and is detached all the same", async () => {
  await using world = await startWorld();
  const { interface: attached } = await world.attach("net1", { name: "blue" });
  await world.netns.ip("link", "delete", "net1");
  expect(await world.list()).toEqual([
    expect.objectContaining({
      name: "net1",
      index: 0,
      ips: [],
      up: false,
      attachmentId: attached.attachmentId,
      state: "failed",
      failure: expect.objectContaining({ reason: "CHECK_FAILED" }) as unknown,
    }),
  ]);
  await expect(world.check("net1")).rejects.toEqual(failure("CHECK_FAILED", "net1 is gone"));
  expect(await world.detach("net1")).toMatchObject({ detached: true });
  expect(await world.node.leases()).toEqual([]);
  expect(await world.node.journalFiles()).toEqual([]);
});

test("a link that was set down by hand is told of by list, and is up again when it was set up", async () => {
  await using world = await startWorld();
  await world.attach("net1", { name: "blue" });
  await world.netns.ip("link", "set", "net1", "down");
  expect(await world.list()).toMatchObject([{ name: "net1", up: false }]);
  await world.netns.ip("link", "set", "net1", "up");
  await expect.poll(world.list).toMatchObject([{ name: "net1", up: true }]);
});

test("an address that was taken away by hand is told of by list and by check", async () => {
  await using world = await startWorld();
  const { interface: attached } = await world.attach("net1", { name: "blue" });
  await world.netns.ip("addr", "delete", attached.ips.find((ip) => ip.includes(".")) ?? "", "dev", "net1");
  const [listed] = await world.list();
  expect(listed?.ips.filter((ip) => ip.includes("."))).toEqual([]);
  await expect(world.check("net1")).rejects.toEqual(failure("CHECK_FAILED"));
});
