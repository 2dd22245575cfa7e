import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, pluginFailed, settle, until, type World } from "./world.ts";

const path = "/run/netns/a";
const target = { kind: "netns", netns: path } as const;
const byInterface = { by: "interface", interface: "net1" } as const;
const green = { target, network: { name: "green", interface: "net1" }, replace: true };
const never = new Promise<void>(() => undefined);

async function told(world: World): Promise<readonly string[]> {
  return (await world.as("tester").list({ target }, neverAborted))
    .filter(({ attachmentId }) => attachmentId !== "")
    .map(({ name, network, state }) => `${name} ${network} ${state}`);
}

/** Whole: a link, a lease and a record of network `name`. */
async function requireWhole(world: World, name: string): Promise<void> {
  expect(await told(world)).toEqual([`net1 ${name} attached`]);
  expect(world.linkNames(path)).toEqual(["net1"]);
  expect(world.executor.leases()).toHaveLength(1);
  expect(await world.states()).toEqual(["net1 attached"]);
}

/** An attachment whose link vanished, and whose healing failed together with its undoing. */
async function failHealing(world: World): Promise<string> {
  const { answer } = await attachBlue(world);
  const stopping = new AbortController();
  const ended = world.engine.watchOver(300_000, stopping.signal);
  world.executor.failOn("del", pluginFailed);
  world.interfaces.removeLink(path, "net1");
  await settle();
  expect(await world.states()).toEqual(["net1 failed"]);
  stopping.abort();
  await ended;
  return answer.interface.attachmentId;
}

/** A replacement of blue by green that was killed while its DEL ran. */
async function interruptReplacement(world: World, as = "tester", owner?: string): Promise<void> {
  await world.addNetns(path);
  const api = world.as(as, as === "controller");
  await api.attach({ target, network: { name: "blue", interface: "net1" }, owner }, neverAborted);
  world.executor.holdOn("del", never);
  void api.attach({ ...green, owner }, neverAborted);
  await until(() => world.executor.runs.includes("DEL net1"));
  world.executor.holdOn("del", undefined);
}

/** What was put off is tried, until nothing waits for its time. */
async function passTime(world: World): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    world.clock.fireAll();
    await settle();
    await world.engine.sweepLeftover();
  }
}

const healingWorld = () => createWorld({ heals: () => true });

test("what a healing lost together with its undoing is made again as soon as its plugins work", async () => {
  const world = await healingWorld();
  const id = await failHealing(world);
  await passTime(world);
  expect(await world.states()).toEqual(["net1 failed"]);
  world.executor.failOn("del", undefined);
  world.executor.failOn("add", pluginFailed);
  await passTime(world);
  expect(await told(world)).toEqual(["net1 blue waiting"]);
  expect(world.executor.leases()).toEqual([]);
  world.executor.failOn("add", undefined);
  world.networks.remove("blue");
  await passTime(world);
  await requireWhole(world, "blue");
  const [made] = await world.as("tester").list({ target }, neverAborted);
  expect(made?.attachmentId).toBe(id);
});

test.each(["before", "after"])("it is made again although the agent was killed %s its DEL", async (when) => {
  const world = await healingWorld();
  await failHealing(world);
  if (when === "after") {
    world.executor.failOn("add", pluginFailed);
    world.executor.failOn("del", undefined);
    await passTime(world);
    world.executor.failOn("add", undefined);
  }
  world.executor.failOn("del", undefined);
  await world.restart();
  await passTime(world);
  await requireWhole(world, "blue");
});

test("an interrupted healing whose first undoing fails is finished later", async () => {
  const world = await healingWorld();
  await attachBlue(world);
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort());
  void world.engine.watchOver(300_000, stopping.signal);
  world.executor.holdOn("add", never);
  world.interfaces.removeLink(path, "net1");
  await settle();
  world.executor.holdOn("add", undefined);
  world.executor.failOn("del", pluginFailed);
  await world.restart();
  expect(await world.states()).toEqual(["net1 failed"]);
  world.executor.failOn("del", undefined);
  await passTime(world);
  await requireWhole(world, "blue");
});

test.each(["add", "del"] as const)(
  "an interrupted replacement whose %s fails at first is finished later",
  async (verb) => {
    const world = await createWorld();
    await interruptReplacement(world);
    world.executor.failOn(verb, pluginFailed);
    await world.restart();
    await passTime(world);
    world.executor.failOn(verb, undefined);
    await passTime(world);
    await requireWhole(world, "green");
  },
);

test("an interrupted replacement of a reconciler's is left to it when it can't be finished", async () => {
  const world = await createWorld();
  await interruptReplacement(world, "controller", "annotation/npwg");
  world.executor.failOn("add", pluginFailed);
  await world.restart();
  await passTime(world);
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

/** Nothing is there of it, and it is to be made again. */
async function waitingWorld(): Promise<World> {
  const world = await healingWorld();
  await failHealing(world);
  world.executor.failOn("del", undefined);
  world.executor.failOn("add", pluginFailed);
  await passTime(world);
  expect(await world.states()).toEqual(["net1 waiting"]);
  return world;
}

test("one that is detached while it waits to be made again doesn't come back", async () => {
  const world = await waitingWorld();
  expect(await world.as("tester").detach({ target, which: byInterface }, neverAborted)).toMatchObject({
    detached: true,
  });
  world.executor.failOn("add", undefined);
  await passTime(world);
  expect(await world.states()).toEqual([]);
  expect(world.linkNames(path)).toEqual([]);
});

test("nobody else gets the name of one that waits to be made again, and its owner needn't wait", async () => {
  const world = await waitingWorld();
  world.executor.failOn("add", undefined);
  const request = { target, network: { name: "blue", interface: "net1" } };
  await expect(world.as("another").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_IN_USE",
  });
  const inItsName = { ...request, owner: "tester" };
  await expect(world.as("another").attach(inItsName, neverAborted)).rejects.toMatchObject({
    reason: "OWNED_BY_OTHER",
  });
  await expect(world.as("tester").attach({ ...green, replace: false }, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_IN_USE",
  });
  expect(await world.as("another").attach({ target, network: { name: "blue" } }, neverAborted)).toMatchObject(
    {
      interface: { name: "net2" },
    },
  );
  expect(await world.as("tester").attach(request, neverAborted)).toMatchObject({ created: true });
  await passTime(world);
  expect(await world.states()).toEqual(["net1 attached", "net2 attached"]);
  expect(world.executor.leases()).toHaveLength(2);
});

test("its owner's request that can't be met leaves it waiting", async () => {
  const world = await waitingWorld();
  world.interfaces.addLink(path, { name: "net1" });
  const request = { target, network: { name: "blue", interface: "net1" } };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_IN_USE",
  });
  world.executor.failOn("add", undefined);
  await passTime(world);
  expect(await world.states()).toEqual(["net1 waiting"]);
  world.interfaces.removeLink(path, "net1");
  await passTime(world);
  await requireWhole(world, "blue");
});

test("what waits to be made again in a bare namespace ends with it", async () => {
  const world = await waitingWorld();
  world.interfaces.removePath(path);
  await passTime(world);
  expect(await world.states()).toEqual([]);
});

test("what waits to be made again in a pod whose sandbox is replaced comes into the next one", async () => {
  const web = { namespace: "demo", name: "web" };
  const world = await createWorld({ heals: () => true, podLife: () => "living" });
  const sandbox = await world.sandboxes.addPod(web);
  const pod = { kind: "pod", pod: web } as const;
  await world.as("tester").attach({ target: pod, network: { name: "blue" } }, neverAborted);
  const stopping = new AbortController();
  onTestFinished(() => stopping.abort());
  void world.engine.watchOver(300_000, stopping.signal);
  world.executor.failOn("del", pluginFailed);
  world.interfaces.removeLink(sandbox.netnsPath, "net1");
  await settle();
  const next = await world.sandboxes.replaceSandbox(web);
  world.executor.failOn("del", undefined);
  await passTime(world);
  expect(world.linkNames(next.netnsPath)).toEqual(["eth0", "net1"]);
  expect(await world.states()).toEqual(["net1 attached"]);
  expect(world.executor.leases()).toEqual([`${next.id} net1`]);
});
