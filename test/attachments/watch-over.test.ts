import { expect, onTestFinished, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import type { InterfaceEvent, PodInterface } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, pluginFailed, settle, type World } from "./world.ts";

const path = "/run/netns/a";
const intervalMs = 300_000;

/** What watchers hear while the engine watches over what is there. */
async function watchOver(world: World): Promise<readonly InterfaceEvent[]> {
  const stopping = new AbortController();
  const heard: InterfaceEvent[] = [];
  const ended = Promise.all([
    world.engine.watchOver(intervalMs, stopping.signal),
    (async () => {
      for await (const event of world.as("tester").watch({}, stopping.signal)) heard.push(event);
    })(),
  ]);
  onTestFinished(async () => {
    stopping.abort();
    await ended;
  });
  await settle();
  heard.length = 0;
  return heard;
}

function told(events: readonly InterfaceEvent[]): readonly string[] {
  return events.map((event) =>
    event.kind === "synced"
      ? "synced"
      : [event.kind, event.interface.name, event.interface.failure?.message].filter(Boolean).join(" "),
  );
}

async function listed(world: World): Promise<PodInterface | undefined> {
  const target = { kind: "netns", netns: path } as const;
  return (await world.as("tester").list({ target }, neverAborted)).find((each) => each.attachmentId !== "");
}

test("a link that is deleted, renamed or readdressed by hand is told at once, with what is wrong", async () => {
  for (const [change, failure] of [
    [
      (world: World) => world.interfaces.removeLink(path, "net1"),
      "changed net1 interface net1 is gone from the pod",
    ],
    [
      (world: World) => world.interfaces.changeLink(path, "net1", { name: "mine" }),
      "changed mine interface net1 was renamed to mine",
    ],
    [
      (world: World) => world.interfaces.changeLink(path, "net1", { ips: ["10.9.0.77/24"] }),
      "changed net1 interface net1 has lost 10.9.0.2",
    ],
  ] as const) {
    const world = await createWorld();
    await attachBlue(world);
    const events = await watchOver(world);
    change(world);
    await settle();
    expect(told(events)).toEqual([failure]);
    expect(await listed(world)).toMatchObject({ state: "failed", failure: { reason: "CHECK_FAILED" } });
  }
});

test("a change that leaves the attachment as it was plugged is told without a failure", async () => {
  const world = await createWorld();
  await attachBlue(world);
  const events = await watchOver(world);
  world.interfaces.changeLink(path, "net1", { ips: ["10.9.0.2/24", "fe80::1/64"], mtu: 9000 });
  await settle();
  expect(told(events)).toEqual(["changed net1"]);
});

test("what is put right again is told as right", async () => {
  const world = await createWorld();
  await attachBlue(world);
  const events = await watchOver(world);
  world.interfaces.changeLink(path, "net1", { name: "mine" });
  await settle();
  world.interfaces.changeLink(path, "mine", { name: "net1" });
  await settle();
  expect(told(events)).toEqual(["changed mine interface net1 was renamed to mine", "changed net1"]);
  expect(await listed(world)).toMatchObject({ state: "attached", failure: undefined });
});

test("what the engine itself attaches and detaches is told once, as that", async () => {
  const world = await createWorld();
  const events = await watchOver(world);
  const { target } = await attachBlue(world);
  await settle();
  await world.as("tester").detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  await settle();
  expect(told(events)).toEqual(["attached net1", "detached net1"]);
});

test("what was changed while the agent was away is told after its start", async () => {
  const world = await createWorld();
  await attachBlue(world);
  world.interfaces.removeLink(path, "net1");
  await world.restart();
  const events: InterfaceEvent[] = [];
  const stopping = new AbortController();
  const watching = (async () => {
    for await (const event of world.as("tester").watch({}, stopping.signal)) events.push(event);
  })();
  await settle();
  const over = world.engine.watchOver(intervalMs, stopping.signal);
  await settle();
  expect(told(events).slice(-1)).toEqual(["changed net1 interface net1 is gone from the pod"]);
  stopping.abort();
  await Promise.all([watching, over]);
});

test("without events from the kernel a change is told by the next look", async () => {
  const world = await createWorld();
  world.interfaces.follow = async () => {
    throw new PodplugError("UNSUPPORTED", "the kernel doesn't tell");
  };
  await attachBlue(world);
  const events = await watchOver(world);
  world.interfaces.removeLink(path, "net1");
  await settle();
  expect(told(events)).toEqual([]);
  world.clock.fireAll();
  await settle();
  expect(told(events)).toEqual(["changed net1 interface net1 is gone from the pod"]);
});

test("an idle sandbox costs one look an interval, and no plugin runs but CHECK", async () => {
  const world = await createWorld();
  await attachBlue(world);
  await watchOver(world);
  const { list } = world.interfaces;
  let looks = 0;
  world.interfaces.list = async (...asked) => {
    looks += 1;
    return await list(...asked);
  };
  world.clock.fireAll();
  await settle();
  // One of them is CHECK's own.
  expect(looks).toBe(2);
  expect(world.executor.runs).toEqual(["ADD net1", "CHECK net1"]);
});

test("a CHECK that fails is told and listed, and so is one that succeeds again", async () => {
  const world = await createWorld();
  await attachBlue(world);
  const events = await watchOver(world);
  world.executor.failOn("check", new PodplugError("CHECK_FAILED", "its lease is gone"));
  world.clock.fireAll();
  await settle();
  world.clock.fireAll();
  await settle();
  expect(told(events)).toEqual(["changed net1 its lease is gone"]);
  expect(await listed(world)).toMatchObject({ state: "failed", failure: { message: "its lease is gone" } });
  expect(await world.states()).toEqual(["net1 attached"]);
  world.executor.failOn("check", undefined);
  world.clock.fireAll();
  await settle();
  expect(told(events)).toEqual(["changed net1 its lease is gone", "changed net1"]);
  expect(await listed(world)).toMatchObject({ state: "attached", failure: undefined });
});

test("a CHECK that can't run says nothing of the attachment", async () => {
  const world = await createWorld();
  await attachBlue(world);
  const events = await watchOver(world);
  world.executor.failOn("check", pluginFailed);
  world.clock.fireAll();
  await settle();
  expect(told(events)).toEqual([]);
  expect(await listed(world)).toMatchObject({ state: "attached" });
});

test("who stops watching leaves nobody following and no timer behind", async () => {
  const world = await createWorld();
  const { follow } = world.interfaces;
  let following = 0;
  world.interfaces.follow = async (...asked) => {
    const followed = await follow(...asked);
    following += 1;
    return {
      [Symbol.dispose]() {
        following -= 1;
        followed[Symbol.dispose]();
      },
    };
  };
  const stopping = new AbortController();
  const over = world.engine.watchOver(intervalMs, stopping.signal);
  const { target } = await attachBlue(world);
  await settle();
  expect(following).toBe(1);
  await world.as("tester").detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  await settle();
  expect(following).toBe(0);
  const network = { name: "blue", interface: "net2" };
  await world.as("tester").attach({ target, network }, neverAborted);
  await settle();
  stopping.abort();
  await over;
  expect([following, world.clock.waiting]).toEqual([0, 0]);
});

test("what a namespace took with it is detached as soon as the kernel tells of its end", async () => {
  const world = await createWorld();
  await attachBlue(world);
  const events = await watchOver(world);
  world.interfaces.removePath(path);
  await settle();
  expect(told(events)).toEqual(["detached net1"]);
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("a link that vanished is made again at once, as the same attachment", async () => {
  const world = await createWorld({ heals: () => true });
  const { answer } = await attachBlue(world);
  const events = await watchOver(world);
  world.interfaces.removeLink(path, "net1");
  await settle();
  expect(told(events)).toEqual(["changed net1 interface net1 is gone from the pod", "changed net1"]);
  expect(await listed(world)).toMatchObject({
    name: "net1",
    state: "attached",
    attachmentId: answer.interface.attachmentId,
  });
  expect(world.executor.runs).toEqual(["ADD net1", "DEL net1", "ADD net1"]);
  expect(world.executor.leases()).toHaveLength(1);
});

test("one that can't be made again stays as failed, is left in peace for a while, and can be detached", async () => {
  const world = await createWorld({ heals: () => true });
  const { target } = await attachBlue(world);
  await watchOver(world);
  world.executor.failOn("add", pluginFailed);
  world.interfaces.removeLink(path, "net1");
  await settle();
  world.interfaces.addLink(path, { name: "own0" });
  await settle();
  expect(world.executor.runs.filter((run) => run === "ADD net1")).toHaveLength(2);
  expect(await listed(world)).toMatchObject({ name: "net1", state: "failed" });
  expect(await world.states()).toEqual(["net1 attached"]);
  const which = { by: "interface", interface: "net1" } as const;
  expect(await world.as("tester").detach({ target, which }, neverAborted)).toMatchObject({ detached: true });
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

test("an interrupted healing is finished by the next agent", async () => {
  const world = await createWorld({ heals: () => true });
  await attachBlue(world);
  await watchOver(world);
  world.executor.holdOn("add", new Promise(() => undefined));
  world.interfaces.removeLink(path, "net1");
  await settle();
  world.executor.holdOn("add", undefined);
  await world.restart();
  expect(await world.states()).toEqual(["net1 attached"]);
  expect(world.linkNames(path)).toEqual(["net1"]);
});

test("what a reconciler made is left to it", async () => {
  const world = await createWorld({ heals: () => true });
  const target = await world.addNetns(path);
  const request = { target, network: { name: "blue", interface: "net1" }, owner: "annotation/npwg" };
  await world.as("controller", true).attach(request, neverAborted);
  await watchOver(world);
  world.interfaces.removeLink(path, "net1");
  await settle();
  expect(world.executor.runs).toEqual(["ADD net1"]);
});
