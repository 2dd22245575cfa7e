import { describe, expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createWorld } from "./world.ts";

const web = { namespace: "demo", name: "web" };
const podTarget = (name: string) => ({ kind: "pod", pod: { namespace: "demo", name } }) as const;
const target = podTarget("web");
const blue = { name: "blue" };

async function worldWithPod(changes: Parameters<typeof createWorld>[0] = {}) {
  const world = await createWorld(changes);
  const sandbox = await world.sandboxes.addPod(web);
  const { interface: plugged } = await world.as("tester").attach({ target, network: blue }, neverAborted);
  return { world, sandbox, plugged };
}

test("a pod that goes gives its addresses back, without anybody asking", async () => {
  const { world } = await worldWithPod({ podLife: () => "gone" });
  world.sandboxes.removePod(web);
  await world.engine.sweep();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

test("a pod that lives keeps what it has", async () => {
  const { world, plugged } = await worldWithPod();
  await world.engine.sweep();
  expect(await world.as("tester").list({ target }, neverAborted)).toContainEqual(plugged);
  expect(world.executor.runs).toEqual(["ADD net1"]);
});

test("a replaced sandbox's attachments move to its successor, whose own stay", async () => {
  const { world } = await worldWithPod();
  await world.sandboxes.replaceSandbox(web);
  await world.as("tester").attach({ target, network: { ...blue, interface: "net7" } }, neverAborted);
  await world.engine.sweep();
  expect(await world.states()).toEqual(["net1 attached", "net7 attached"]);
  expect(world.executor.leases()).toHaveLength(2);
});

test("one whose DEL fails is tried again, and keeps no other", async () => {
  const { world } = await worldWithPod();
  const db = { namespace: "demo", name: "db" };
  await world.sandboxes.addPod(db);
  await world.as("tester").attach({ target: { kind: "pod", pod: db }, network: blue }, neverAborted);
  world.sandboxes.removePod(web);
  world.sandboxes.removePod(db);
  world.executor.failOn("del", new PodplugError("PLUGIN_FAILED", "no"));
  await world.engine.sweep();
  expect(await world.states()).toEqual(["net1 detaching", "net1 detaching"]);
  world.executor.failOn("del", undefined);
  world.clock.fireAll();
  await world.engine.drain();
  expect(world.executor.leases()).toEqual([]);
});

describe("while the DEL of one ended sandbox hangs", () => {
  async function worldWithHangingDel() {
    const { world, sandbox } = await worldWithPod({
      podLife: (pod) => (pod.name === "web" ? "gone" : "living"),
    });
    for (const name of ["db", "cache"]) {
      await world.sandboxes.addPod({ namespace: "demo", name });
      await world.as("tester").attach({ target: podTarget(name), network: blue }, neverAborted);
    }
    const held = Promise.withResolvers<void>();
    const { del } = world.executor;
    world.executor.del = async (attachment, ...rest) => {
      if (attachment.containerId === sandbox.id) await held.promise;
      await del(attachment, ...rest);
    };
    world.sandboxes.removePod(web);
    return { world, release: held.resolve, states: () => world.states().then((states) => states.join()) };
  }

  test("the others' addresses are given back, and what outlives its sandbox is attached again", async () => {
    const { world, release, states } = await worldWithHangingDel();
    await world.sandboxes.replaceSandbox({ namespace: "demo", name: "db" });
    const sweeping = world.engine.sweep();
    await expect.poll(states).toBe("net1 attached,net1 attached,net1 detaching");
    expect(world.executor.runs.slice(3)).toEqual(["DEL net1", "ADD net1"]);
    release();
    await sweeping;
    expect(await states()).toBe("net1 attached,net1 attached");
  });

  test("what ends meanwhile is looked after all the same", async () => {
    const { world, release, states } = await worldWithHangingDel();
    const sweeping = world.engine.sweep();
    await expect.poll(states).toBe("net1 attached,net1 attached,net1 detaching");
    const cache = { namespace: "demo", name: "cache" };
    world.sandboxes.stopPod(cache);
    await world.engine.sweep();
    expect(await states()).toBe("net1 attached,net1 detaching,net1 waiting");
    await world.sandboxes.replaceSandbox(cache);
    await world.engine.sweepLeftover();
    expect(await states()).toBe("net1 attached,net1 attached,net1 detaching");
    release();
    await sweeping;
  });
});

test("a sweep that an agent's stop overtakes begins no other DEL", async () => {
  const { world } = await worldWithPod();
  const another = { target, network: { ...blue, interface: "net9" } };
  await world.as("tester").attach(another, neverAborted);
  world.sandboxes.removePod(web);
  const held = Promise.withResolvers<void>();
  const { identify } = world.interfaces;
  world.interfaces.identify = async (...asked) => {
    await held.promise;
    return await identify(...asked);
  };
  const sweeping = world.engine.sweep();
  await world.engine.drain();
  held.resolve();
  await sweeping;
  expect(world.executor.runs).toEqual(["ADD net1", "ADD net9"]);
  expect(await world.states()).toEqual(["net1 attached", "net9 attached"]);
});

test("what couldn't be looked after while the runtime was away is, soon after it is back", async () => {
  const { world } = await worldWithPod({ podLife: () => "gone" });
  world.sandboxes.removePod(web);
  world.sandboxes.failWith(new PodplugError("UNREACHABLE", "the runtime is away"));
  await world.engine.sweep();
  await world.engine.sweepLeftover();
  expect(await world.states()).toEqual(["net1 attached"]);
  world.sandboxes.failWith(undefined);
  await world.engine.sweepLeftover();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

test("while the runtime is away nothing is taken for gone", async () => {
  const { world, sandbox } = await worldWithPod();
  world.interfaces.removePath(sandbox.netnsPath);
  world.sandboxes.failWith(new PodplugError("UNREACHABLE", "the runtime is away"));
  await world.engine.sweep();
  expect(await world.states()).toEqual(["net1 attached"]);
});

test("nothing new is plugged into a pod that is being deleted, and what it has stays", async () => {
  let ending = false;
  const world = await createWorld({ podLife: () => (ending ? "ending" : "living") });
  await world.sandboxes.addPod(web);
  await world.as("tester").attach({ target, network: blue }, neverAborted);
  ending = true;
  const request = { target, network: { ...blue, interface: "net9" } };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "POD_ENDING",
  });
  await world.engine.sweep();
  expect(await world.states()).toEqual(["net1 attached"]);
});
