import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import type { InterfaceEvent } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, diskFull, FaultyJournal, pluginFailed, settle, until } from "./world.ts";

const path = "/run/netns/a";
const net1 = { by: "interface", interface: "net1" } as const;

test("the record is written before ADD runs, and says attached only after", async () => {
  const journal = new FaultyJournal();
  const world = await createWorld({ journal });
  const trace: string[] = [];
  journal.fault = async (record) => {
    trace.push(`${record.state} after ${world.executor.runs.length} runs`);
  };
  await attachBlue(world);
  expect(trace).toEqual(["attaching after 0 runs", "attached after 1 runs"]);
});

test("a failed ADD is followed by DEL, and leaves no interface, lease or record", async () => {
  const world = await createWorld();
  world.executor.failOn("add", pluginFailed);
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "PLUGIN_FAILED", cniCode: 100 });
  expect(world.executor.runs).toEqual(["ADD net1", "DEL net1"]);
  expect(world.linkNames(path)).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("where an attachment is follows from its record, also while its namespace can't be read", async () => {
  const world = await createWorld();
  const { attachmentId } = (await attachBlue(world)).answer.interface;
  world.interfaces.failWith(new PodplugError("RESOURCE_EXHAUSTED", "no descriptor is left"));
  expect(world.engine.targetOf(attachmentId)).toEqual({ kind: "netns", netns: path });
  expect(world.engine.targetOf("none")).toBeUndefined();
});

test("when undoing fails too, the record stays and DEL is tried again until it succeeds", async () => {
  const world = await createWorld();
  world.executor.failOn("add", pluginFailed);
  world.executor.failOn("del", pluginFailed);
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "PLUGIN_FAILED" });
  expect(await world.states()).toEqual(["net1 failed"]);
  world.clock.fireAll();
  await settle();
  expect(await world.states()).toEqual(["net1 failed"]);
  world.executor.failOn("del", undefined);
  world.clock.fireAll();
  await settle();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
  expect(world.clock.waiting).toBe(0);
});

test("the same attach again first cleans up what the failed one left", async () => {
  const world = await createWorld();
  world.executor.failOn("add", pluginFailed);
  world.executor.failOn("del", pluginFailed);
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "PLUGIN_FAILED" });
  const request = {
    target: { kind: "netns", netns: path },
    network: { name: "blue", interface: "net1" },
  } as const;
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "CLEANUP_PENDING",
  });
  world.executor.failOn("add", undefined);
  world.executor.failOn("del", undefined);
  expect(await world.as("tester").attach(request, neverAborted)).toMatchObject({ created: true });
  expect(world.executor.leases()).toHaveLength(1);
});

test("an ADD never destroys: a name the pod has already runs no plugin", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  world.interfaces.addLink(path, { name: "eth0" });
  const request = { target, network: { name: "blue", interface: "eth0" } };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_IN_USE",
  });
  expect(world.executor.runs).toEqual([]);
  expect(world.linkNames(path)).toEqual(["eth0"]);
  await expect(
    world
      .as("tester")
      .detach({ target, which: { by: "interface", interface: "eth0" }, force: true }, neverAborted),
  ).rejects.toMatchObject({ reason: "NOT_DETACHABLE" });
});

test("generated names avoid what the kernel has and what is recorded", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  world.interfaces.addLink(path, { name: "net1" });
  const answer = await world.as("tester").attach({ target, network: { name: "blue" } }, neverAborted);
  expect(answer.interface.name).toBe("net2");
});

test("nothing is plugged when its record can't be written", async () => {
  const journal = new FaultyJournal();
  const world = await createWorld({ journal });
  journal.fault = async () => Promise.reject(diskFull);
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "JOURNAL_FAILED" });
  expect(world.executor.runs).toEqual([]);
});

test("an ADD whose completion can't be recorded is undone", async () => {
  const journal = new FaultyJournal();
  const world = await createWorld({ journal });
  journal.fault = async (record) => (record.state === "attached" ? Promise.reject(diskFull) : undefined);
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "JOURNAL_FAILED" });
  expect(world.linkNames(path)).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("detach works from the record alone, with its definition gone", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.networks.remove("blue");
  expect(await world.as("tester").detach({ target, which: net1 }, neverAborted)).toMatchObject({
    detached: true,
  });
  expect(world.executor.leases()).toEqual([]);
});

test("detach works with the namespace gone, without CNI_NETNS", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.removePath(path);
  expect(await world.as("tester").detach({ target, which: net1 }, neverAborted)).toMatchObject({
    detached: true,
  });
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("a path that leads to another namespace by now is not taken for the recorded one", async () => {
  const world = await createWorld();
  const { answer } = await attachBlue(world);
  world.interfaces.recycleNetns(path);
  world.interfaces.addLink(path, { name: "net1" });
  const which = { by: "id", attachmentId: answer.interface.attachmentId } as const;
  expect(await world.as("tester").detach({ which }, neverAborted)).toMatchObject({ detached: true });
  expect(world.linkNames(path)).toEqual(["net1"]);
  expect(world.executor.leases()).toEqual([]);
});

test("a failed DEL keeps the record, is told, and is tried again until it succeeds", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.executor.failOn("del", pluginFailed);
  await expect(world.as("tester").detach({ target, which: net1 }, neverAborted)).rejects.toMatchObject({
    reason: "PLUGIN_FAILED",
  });
  expect(await world.as("tester").list({ target }, neverAborted)).toMatchObject([
    { name: "net1", state: "detaching", failure: { reason: "PLUGIN_FAILED" } },
  ]);
  world.executor.failOn("del", undefined);
  world.clock.fireAll();
  await settle();
  expect(await world.states()).toEqual([]);
});

test("an interface that the plugins left behind under another name keeps the record", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.changeLink(path, "net1", { name: "net1-nic" });
  expect(await world.as("tester").list({ target }, neverAborted)).toMatchObject([
    { name: "net1-nic", network: "blue", state: "failed", failure: { reason: "CHECK_FAILED" } },
  ]);
  await expect(world.as("tester").detach({ target, which: net1 }, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_LEFT",
  });
  expect(await world.states()).toEqual(["net1 detaching"]);
});

test("an interface deleted by hand is said to be gone, and its attachment can be detached", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.removeLink(path, "net1");
  expect(await world.as("tester").list({ target }, neverAborted)).toMatchObject([
    { name: "net1", index: 0, state: "failed", failure: { reason: "CHECK_FAILED" } },
  ]);
  await expect(world.as("tester").check({ target, interface: "net1" }, neverAborted)).rejects.toMatchObject({
    reason: "CHECK_FAILED",
  });
  await world.as("tester").detach({ target, which: net1 }, neverAborted);
  expect(world.executor.leases()).toEqual([]);
});

test("a caller that leaves during ADD stops waiting, and the chain ends well", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("add", held.promise);
  const leaving = new AbortController();
  const request = { target, network: { name: "blue", interface: "net1" } };
  const attaching = world.as("tester").attach(request, leaving.signal);
  await until(() => world.executor.runs.length === 1);
  leaving.abort();
  await expect(attaching).rejects.toMatchObject({ reason: "CANCELED" });
  held.resolve();
  expect(await world.as("tester").attach(request, neverAborted)).toMatchObject({ created: false });
});

test("a sandbox's work is serial, different sandboxes' side by side, and bounded overall", async () => {
  const world = await createWorld({ maxConcurrent: 3 });
  const targets = await Promise.all([1, 2, 3, 4, 5].map((each) => world.addNetns(`/run/netns/p${each}`)));
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("add", held.promise);
  const work = targets.flatMap((target) =>
    ["a", "b"].map((key) =>
      world.as("tester").attach({ target, network: { name: "blue" }, key }, neverAborted),
    ),
  );
  await until(() => world.executor.load.now === 3);
  held.resolve();
  await Promise.all(work);
  expect(world.executor.load.most).toBe(3);
  expect(world.executor.leases()).toHaveLength(10);
});

test("two paths to one namespace share its lane and its attachments", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.addPath("/proc/42/ns/net", path);
  const other = { kind: "netns", netns: "/proc/42/ns/net" } as const;
  expect(await world.as("tester").list({ target: other }, neverAborted)).toMatchObject([{ name: "net1" }]);
  expect(
    await world
      .as("tester")
      .attach({ target: other, network: { name: "blue", interface: "net1" } }, neverAborted),
  ).toMatchObject({ created: false });
  expect(
    await world.as("tester").attach({ target, network: { name: "blue", interface: "net2" } }, neverAborted),
  ).toMatchObject({ created: true });
});

test("pods are told to plugins as the kubelet does", async () => {
  const world = await createWorld();
  const sandbox = await world.sandboxes.addPod({ namespace: "demo", name: "web" });
  const target = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
  const answer = await world.as("tester").attach({ target, network: { name: "blue" } }, neverAborted);
  expect(answer.interface).toMatchObject({ pod: sandbox.pod, sandboxId: sandbox.id, name: "net1" });
  const [record] = await world.journal.load();
  expect(Object.fromEntries(record?.chain.cniArgs ?? [])).toEqual({
    IgnoreUnknown: "true",
    K8S_POD_NAMESPACE: "demo",
    K8S_POD_NAME: "web",
    K8S_POD_INFRA_CONTAINER_ID: sandbox.id,
    K8S_POD_UID: sandbox.pod?.uid,
  });
});

test("a restart leaves what is attached, finishes what was being detached, undoes what was being attached", async () => {
  const world = await createWorld();
  const { target, answer } = await attachBlue(world);
  const [attached] = await world.journal.load();
  if (!attached) throw new Error("no record");
  const never = new Promise<void>(() => undefined);
  world.executor.holdOn("add", never);
  void world.as("tester").attach({ target, network: { name: "blue", interface: "net2" } }, neverAborted);
  await until(() => world.executor.runs.includes("ADD net2"));
  const elsewhere = await world.addNetns("/run/netns/b");
  world.executor.holdOn("add", undefined);
  await world
    .as("tester")
    .attach({ target: elsewhere, network: { name: "blue", interface: "net1" } }, neverAborted);
  world.executor.holdOn("del", never);
  void world.as("tester").detach({ target: elsewhere, which: net1 }, neverAborted);
  await until(() => world.executor.runs.includes("DEL net1"));
  expect(await world.states()).toEqual(["net1 attached", "net1 detaching", "net2 attaching"]);

  world.executor.holdOn("del", undefined);
  await world.restart();
  expect(await world.states()).toEqual(["net1 attached"]);
  expect(await world.as("tester").list({ target }, neverAborted)).toEqual([answer.interface]);
  expect(world.linkNames("/run/netns/b")).toEqual([]);
  expect(world.executor.leases()).toHaveLength(1);
});

test("a restart after a reboot gives every address back", async () => {
  const world = await createWorld();
  await attachBlue(world);
  world.interfaces.reboot();
  await world.restart();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

test("a replacement that was interrupted is finished at restart", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.executor.holdOn("del", new Promise<void>(() => undefined));
  const request = { target, network: { name: "green", interface: "net1" }, replace: true };
  void world.as("tester").attach(request, neverAborted);
  await until(() => world.executor.runs.includes("DEL net1"));
  world.executor.holdOn("del", undefined);
  await world.restart();
  expect(await world.as("tester").list({ target }, neverAborted)).toMatchObject([
    { name: "net1", network: "green", state: "attached" },
  ]);
  expect(world.executor.leases()).toHaveLength(1);
});

test("recovery of one sandbox holds back no other", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  const elsewhere = await world.addNetns("/run/netns/b");
  world.executor.failOn("del", pluginFailed);
  await expect(world.as("tester").detach({ target, which: net1 }, neverAborted)).rejects.toThrow();
  await world.restart();
  expect(await world.states()).toEqual(["net1 detaching"]);
  await world.as("tester").attach({ target: elsewhere, network: { name: "blue" } }, neverAborted);
  world.executor.failOn("del", undefined);
  world.clock.fireAll();
  await settle();
  expect(await world.states()).toEqual(["net1 attached"]);
});

test("garbage collection runs alone, with every record as valid", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("add", held.promise);
  const attaching = world.as("tester").attach({ target, network: { name: "blue" } }, neverAborted);
  await until(() => world.executor.load.now === 1);
  const collecting = world.engine.collectGarbage(["blue"], neverAborted);
  await turn();
  expect(world.executor.runs).toEqual(["ADD net1"]);
  held.resolve();
  await Promise.all([attaching, collecting]);
  expect(world.executor.runs).toEqual(["ADD net1", "GC "]);
  expect(world.executor.leases()).toHaveLength(1);
});

test("draining lets what began end, refuses what comes, and tells the watchers", async () => {
  const world = await createWorld();
  const target = await world.addNetns(path);
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("add", held.promise);
  const watching = drainWatch(world.as("tester").watch({}, neverAborted));
  const attaching = world.as("tester").attach({ target, network: { name: "blue" } }, neverAborted);
  await until(() => world.executor.load.now === 1);
  const draining = world.engine.drain();
  await expect(
    world
      .as("tester")
      .attach({ target: await world.addNetns("/run/netns/b"), network: { name: "blue" } }, neverAborted),
  ).rejects.toMatchObject({ reason: "AGENT_STOPPING" });
  await expect(watching).rejects.toMatchObject({ reason: "AGENT_STOPPING" });
  held.resolve();
  expect(await attaching).toMatchObject({ created: true });
  await draining;
  expect(await world.states()).toEqual(["net1 attached"]);
});

test("a failed attach is told to the watchers with its reason", async () => {
  const world = await createWorld();
  const leaving = new AbortController();
  const events: InterfaceEvent[] = [];
  const synced = Promise.withResolvers<void>();
  const watching = (async () => {
    for await (const event of world.as("tester").watch({}, leaving.signal)) {
      if (event.kind === "synced") synced.resolve();
      else events.push(event);
    }
  })();
  await synced.promise;
  world.executor.failOn("add", pluginFailed);
  await expect(attachBlue(world)).rejects.toThrow();
  leaving.abort();
  await watching;
  expect(events).toMatchObject([
    { kind: "failed", interface: { name: "net1", network: "blue" }, failure: { reason: "PLUGIN_FAILED" } },
  ]);
});

async function drainWatch(events: AsyncIterable<InterfaceEvent>): Promise<void> {
  for await (const event of events) void event;
}
