import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";
import { createWorld, diskFull, FaultyJournal, pluginFailed, settle, until, type World } from "./world.ts";

const path = "/run/netns/a";
const target: Target = { kind: "netns", netns: path };
const own = ["via 10.1.0.1 dev eth0 metric 100", "via fd01::1 dev eth0"];

/** A pod with its own network's default routes; every network here is 10.9.0.0/24. */
async function createPodWorld(changes: Parameters<typeof createWorld>[0] = {}): Promise<World> {
  const world = await createWorld(changes);
  world.interfaces.addNetns(path);
  world.interfaces.addLink(path, { name: "eth0", ips: ["10.1.0.2/24", "fd01::2/64"] });
  for (const route of own) world.interfaces.addDefaultRoute(path, route);
  return world;
}

async function plug(world: World, ifName: string, gateways: readonly string[], name = "blue"): Promise<void> {
  const network = { name, interface: ifName, defaultRoute: { gateways } };
  await world.as("tester").attach({ target, network }, neverAborted);
}

async function unplug(world: World, ifName: string): Promise<void> {
  await world.as("tester").detach({ target, which: { by: "interface", interface: ifName } }, neverAborted);
}

const routes = (world: World): readonly string[] => world.interfaces.defaultRoutesOf(path);

test("a default route is taken after ADD and put back after DEL", async () => {
  const world = await createPodWorld();
  await plug(world, "net1", ["10.9.0.1"]);
  expect(routes(world)).toEqual(["via 10.9.0.1 dev net1", "via fd01::1 dev eth0"]);
  await unplug(world, "net1");
  expect(routes(world)).toEqual(own);
});

test("without gateways the network's own default route stays alone", async () => {
  const world = await createPodWorld();
  const { add } = world.executor;
  world.executor.add = async (attachment, signal) => {
    const result = await add(attachment, signal);
    world.interfaces.addDefaultRoute(path, `via 10.9.0.254 dev ${attachment.ifName}`);
    return result;
  };
  await plug(world, "net1", []);
  expect(routes(world)).toEqual(["via 10.9.0.254 dev net1", "via fd01::1 dev eth0"]);
  await unplug(world, "net1");
  expect(routes(world)).toEqual(own);
});

test("the pod's own changes to a family that wasn't asked for stay", async () => {
  const world = await createPodWorld();
  await plug(world, "net1", ["10.9.0.1"]);
  world.interfaces.removeLink(path, "eth0");
  world.interfaces.addLink(path, { name: "eth1", ips: ["fd03::2/64"] });
  world.interfaces.addDefaultRoute(path, "via fd03::1 dev eth1");
  await unplug(world, "net1");
  expect(routes(world)).toEqual(["via fd03::1 dev eth1"]);
});

test("a gateway out of reach fails the attachment, and all is as it was", async () => {
  const world = await createPodWorld();
  await expect(plug(world, "net1", ["10.77.0.1"])).rejects.toMatchObject({ reason: "GATEWAY_OUT_OF_REACH" });
  expect(routes(world)).toEqual(own);
  expect(world.linkNames(path)).toEqual(["eth0"]);
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("a second gateway of a family is refused before anything runs", async () => {
  const world = await createPodWorld();
  await expect(plug(world, "net1", ["10.9.0.1", "10.9.0.3"])).rejects.toMatchObject({
    reason: "INVALID_SELECTION",
  });
  expect(world.executor.runs).toEqual([]);
});

test("a network without a kernel interface can't have the default route", async () => {
  const world = await createPodWorld();
  const { add } = world.executor;
  world.executor.add = async (attachment, signal) => {
    const result = await add(attachment, signal);
    world.interfaces.removeLink(path, attachment.ifName);
    return result;
  };
  await expect(plug(world, "net1", ["10.9.0.1"])).rejects.toMatchObject({ reason: "UNSUPPORTED" });
  expect(routes(world)).toEqual(own);
  expect(world.executor.leases()).toEqual([]);
});

test("the last one wins, whatever the order in which they go", async () => {
  const orders = ["123", "132", "213", "231", "312", "321"].map((order) => [...order].map((n) => `net${n}`));
  for (const order of orders) {
    const world = await createPodWorld();
    for (const ifName of ["net1", "net2", "net3"]) await plug(world, ifName, ["10.9.0.1"]);
    const left = ["net1", "net2", "net3"];
    for (const ifName of order) {
      await unplug(world, ifName);
      left.splice(left.indexOf(ifName), 1);
      const last = left.at(-1);
      const expected = last ? [`via 10.9.0.1 dev ${last}`, "via fd01::1 dev eth0"] : own;
      expect(routes(world), `${order.join(" ")} after ${ifName}`).toEqual(expected);
    }
  }
});

test("one in the middle keeps its place in line after a restart", async () => {
  const world = await createPodWorld();
  for (const ifName of ["net1", "net2"]) await plug(world, ifName, ["10.9.0.1"]);
  await world.restart();
  await unplug(world, "net1");
  await world.restart();
  await unplug(world, "net2");
  expect(routes(world)).toEqual(own);
});

test("a replacement takes the route over, and gives back what the first one found", async () => {
  const world = await createPodWorld();
  await plug(world, "net1", ["10.9.0.1"]);
  const network = { name: "green", interface: "net1", defaultRoute: { gateways: ["10.9.0.7"] } };
  await world.as("tester").attach({ target, network, replace: true }, neverAborted);
  expect(routes(world)).toEqual(["via 10.9.0.7 dev net1", "via fd01::1 dev eth0"]);
  const plain = { name: "green", interface: "net1" };
  await world.as("tester").attach({ target, network: plain, replace: true }, neverAborted);
  expect(routes(world)).toEqual(own);
});

test("what is replaced is in the journal before ADD begins", async () => {
  const world = await createPodWorld();
  const { add } = world.executor;
  world.executor.add = async (attachment, signal) => {
    const noted = (await world.journal.load()).map(({ chain }) =>
      chain.routesBefore?.map(({ encoded }) => Buffer.from(encoded, "base64").toString()),
    );
    expect(noted).toEqual([["10.1.0.1 2 metric 100", "fd01::1 2"]]);
    return await add(attachment, signal);
  };
  await plug(world, "net1", ["10.9.0.1"]);
});

test("after a kill between the route and the record's completion, the routes are as they were", async () => {
  const journal = new FaultyJournal();
  const world = await createPodWorld({ journal });
  journal.fault = (record) => (record.state === "attached" ? new Promise<void>(() => undefined) : undefined);
  void plug(world, "net1", ["10.9.0.1"]);
  await until(() => routes(world).includes("via 10.9.0.1 dev net1"));
  await settle();
  journal.fault = undefined;
  await world.restart();
  expect(routes(world)).toEqual(own);
  expect(world.linkNames(path)).toEqual(["eth0"]);
  expect(await world.states()).toEqual([]);
});

test("a record that can't be completed gives the routes back", async () => {
  const journal = new FaultyJournal();
  journal.fault = async (record) => (record.state === "attached" ? Promise.reject(diskFull) : undefined);
  const world = await createPodWorld({ journal });
  await expect(plug(world, "net1", ["10.9.0.1"])).rejects.toMatchObject({ reason: "JOURNAL_FAILED" });
  expect(routes(world)).toEqual(own);
});

test("a detach that fails half-way and is tried again ends with the routes that were there", async () => {
  const world = await createPodWorld();
  for (const ifName of ["net1", "net2"]) await plug(world, ifName, ["10.9.0.1"]);
  world.executor.failOn("del", pluginFailed);
  await expect(unplug(world, "net1")).rejects.toMatchObject({ reason: "PLUGIN_FAILED" });
  expect(routes(world)).toEqual(["via 10.9.0.1 dev net2", "via fd01::1 dev eth0"]);
  world.executor.failOn("del", undefined);
  world.clock.fireAll();
  await settle();
  expect(routes(world)).toEqual(["via 10.9.0.1 dev net2", "via fd01::1 dev eth0"]);
  await unplug(world, "net2");
  expect(routes(world)).toEqual(own);
});

test("a claim's reference is for reconcilers: plugins read it from the pod's annotation", async () => {
  const world = await createPodWorld();
  const request = { target, network: { name: "blue", ipamClaimReference: "vm.blue" } };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "UNSUPPORTED",
    message: expect.stringContaining("annotation"),
  });
  await world.as("annotation", true).attach(request, neverAborted);
  expect(world.linkNames(path)).toEqual(["eth0", "net1"]);
});
