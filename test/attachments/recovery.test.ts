import { expect, test } from "vitest";
import type { InterfaceEvent } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, diskFull, FaultyJournal, settle, until, type World } from "./world.ts";

const path = "/run/netns/a";
const never = new Promise<void>(() => undefined);

/** What a watcher hears of a recovery whose first DEL it finds running. */
async function watchRecovery(world: World): Promise<readonly string[]> {
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("del", held.promise);
  world.executor.runs.length = 0;
  const restarting = world.restart();
  await until(() => world.executor.load.now > 0 && world.executor.runs.at(-1) === "DEL net1");
  const leaving = new AbortController();
  const events: InterfaceEvent[] = [];
  const watching = (async () => {
    for await (const event of world.as("tester").watch({}, leaving.signal)) events.push(event);
  })();
  await until(() => events.at(-1)?.kind === "synced");
  world.executor.holdOn("del", undefined);
  held.resolve();
  await restarting;
  await settle();
  leaving.abort();
  await watching;
  return events.map((event) =>
    event.kind === "synced" ? event.kind : `${event.kind} ${event.interface.network}`,
  );
}

test("watchers hear what recovery undoes", async () => {
  const world = await createWorld();
  world.executor.holdOn("add", never);
  void attachBlue(world);
  await until(() => world.executor.runs.includes("ADD net1"));
  world.executor.holdOn("add", undefined);
  expect(await watchRecovery(world)).toEqual(["present blue", "synced", "detached blue"]);
});

test("watchers hear that recovery finished a replacement", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.executor.holdOn("del", never);
  const request = { target, network: { name: "green", interface: "net1" }, replace: true };
  void world.as("tester").attach(request, neverAborted);
  await until(() => world.executor.runs.includes("DEL net1"));
  expect(await watchRecovery(world)).toEqual(["present green", "synced", "detached green", "attached green"]);
});

test("a recovery that couldn't begin is tried again until it succeeds", async () => {
  const journal = new FaultyJournal();
  const world = await createWorld({ journal });
  await attachBlue(world);
  world.interfaces.removePath(path);
  journal.fault = async () => Promise.reject(diskFull);
  await world.restart();
  world.clock.fireAll();
  await settle();
  expect(await world.states()).toEqual(["net1 attached"]);
  journal.fault = undefined;
  world.clock.fireAll();
  await settle();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
  expect(world.clock.waiting).toBe(0);
});

test("an agent that stops leaves to the next what recovery hasn't begun", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  const another = { target, network: { name: "blue", interface: "net2" } };
  await world.as("tester").attach(another, neverAborted);
  world.interfaces.removePath(path);
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("del", held.promise);
  const restarting = world.restart();
  await until(() => world.executor.runs.includes("DEL net1"));
  const draining = world.engine.drain();
  held.resolve();
  await Promise.all([restarting, draining]);
  expect(world.executor.runs).not.toContain("DEL net2");
  expect(await world.states()).toEqual(["net2 attached"]);
  await world.restart();
  expect(await world.states()).toEqual([]);
});
