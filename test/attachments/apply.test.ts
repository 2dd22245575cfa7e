import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, diskFull, FaultyJournal, pluginFailed, settle, until } from "./world.ts";

const path = "/run/netns/a";
const net1 = { by: "interface", interface: "net1" } as const;

/** An attach that is planned and recorded, and waits for its turn to run plugins. */
async function attachBehindAnother() {
  const world = await createWorld({ maxConcurrent: 1 });
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("add", held.promise);
  const first = attachBlue(world, "/run/netns/b");
  await until(() => world.executor.load.now === 1);
  const second = attachBlue(world).catch((error: unknown) => error);
  await settle();
  expect(await world.states()).toEqual(["net1 attaching", "net1 attaching"]);
  const goOn = async () => {
    held.resolve();
    await first;
  };
  return { world, second, goOn };
}

test("a name that is taken while ADD waits for its turn runs no plugin, and its link stays", async () => {
  const { world, second, goOn } = await attachBehindAnother();
  world.interfaces.addLink(path, { name: "net1" });
  await goOn();
  expect(await second).toMatchObject({ reason: "INTERFACE_IN_USE" });
  expect(world.executor.runs).toEqual(["ADD net1"]);
  expect(world.linkNames(path)).toEqual(["net1"]);
  expect(await world.states()).toEqual(["net1 attached"]);
});

test("ADD doesn't run in the namespace that has the path by the time it is its turn", async () => {
  const { world, second, goOn } = await attachBehindAnother();
  world.interfaces.recycleNetns(path);
  await goOn();
  expect(await second).toMatchObject({ reason: "SANDBOX_NOT_READY" });
  expect(world.executor.runs).toEqual(["ADD net1"]);
  expect(await world.states()).toEqual(["net1 attached"]);
});

test("undoing a complete ADD hands its result to DEL", async () => {
  const journal = new FaultyJournal();
  journal.fault = async (record) => (record.state === "attached" ? Promise.reject(diskFull) : undefined);
  const world = await createWorld({ journal });
  const results: (JsonObject | undefined)[] = [];
  const { del } = world.executor;
  world.executor.del = async (attachment, result, signal) => {
    results.push(result);
    await del(attachment, result, signal);
  };
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "JOURNAL_FAILED" });
  expect(results).toMatchObject([{ cniVersion: "1.0.0" }]);
});

test("a failed attachment says why its DEL fails, not what its ADD's caller heard", async () => {
  const world = await createWorld();
  world.executor.failOn("add", pluginFailed);
  world.executor.failOn("del", new PodplugError("PLUGIN_NOT_FOUND", "plugin fake isn't there"));
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "PLUGIN_FAILED" });
  expect(await world.as("tester").list({}, neverAborted)).toMatchObject([
    { name: "net1", state: "failed", failure: { reason: "PLUGIN_NOT_FOUND" } },
  ]);
});

test("a renamed interface keeps its address until it is gone, and who has its name now stays", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.changeLink(path, "net1", { name: "net1-nic" });
  world.interfaces.addLink(path, { name: "net1" });
  await expect(world.as("tester").detach({ target, which: net1 }, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_LEFT",
    message: expect.stringContaining("net1-nic"),
  });
  expect(world.linkNames(path)).toEqual(["net1-nic", "net1"]);
  expect(world.executor.leases()).toHaveLength(1);

  world.interfaces.removeLink(path, "net1-nic");
  world.clock.fireAll();
  await settle();
  expect(world.linkNames(path)).toEqual(["net1"]);
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("a replacement whose DEL fails never runs the new network's plugins", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.changeLink(path, "net1", { name: "net1-nic" });
  world.interfaces.addLink(path, { name: "net1" });
  const request = { target, network: { name: "green", interface: "net1" }, replace: true };
  await expect(world.as("tester").attach(request, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_LEFT",
  });
  expect(world.executor.runs).toEqual(["ADD net1"]);
  expect(world.linkNames(path)).toEqual(["net1-nic", "net1"]);
  expect(world.executor.leases()).toHaveLength(1);
});
