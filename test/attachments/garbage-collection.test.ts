import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { MemoryJournal } from "../fakes/memory-journal.ts";
import { attachBlue, createWorld, pluginFailed, settle, until } from "./world.ts";

test("garbage collection goes on past a network that fails", async () => {
  const world = await createWorld();
  await world.engine.collectGarbage(["not-there", "blue"], neverAborted);
  expect(world.executor.runs).toEqual(["GC "]);
});

test("an agent that stops waits for the garbage collection that runs, and begins no other", async () => {
  const world = await createWorld();
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("gc", held.promise);
  const collecting = world.engine.collectGarbage(["blue", "green"], neverAborted);
  await until(() => world.executor.load.now === 1);
  let drained = false;
  const draining = world.engine.drain().then(() => {
    drained = true;
  });
  await settle();
  expect(drained).toBe(false);
  held.resolve();
  await Promise.all([collecting, draining]);
  expect(world.executor.runs).toEqual(["GC "]);
});

test("garbage collection that waits for an ADD that hangs keeps no other pod waiting", async () => {
  const world = await createWorld();
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("add", held.promise);
  const hanging = attachBlue(world, "/run/netns/a");
  await until(() => world.executor.load.now === 1);
  world.clock.fireAll();
  const collecting = world.engine.collectGarbage(["blue"], neverAborted);
  await settle();
  world.executor.holdOn("add", undefined);
  await attachBlue(world, "/run/netns/b");
  expect(world.executor.runs).toEqual(["ADD net1", "ADD net1"]);
  held.resolve();
  await Promise.all([hanging, collecting]);
  expect(world.executor.runs).toEqual(["ADD net1", "ADD net1", "GC "]);
  expect(world.executor.leases()).toHaveLength(2);
});

test("nothing is collected while a record that can't be read may hold an address", async () => {
  class DamagedJournal extends MemoryJournal {
    override async missing(): Promise<number> {
      return 1;
    }
  }
  const world = await createWorld({ journal: new DamagedJournal() });
  await expect(world.engine.collectGarbage(["blue"], neverAborted)).rejects.toMatchObject({
    reason: "JOURNAL_FAILED",
  });
  expect(world.executor.runs).toEqual([]);
});

test("what is whole, owed a DEL or just being attached keeps its lease; what nobody has a record of loses it", async () => {
  const world = await createWorld();
  const target = await world.addNetns("/run/netns/a");
  const api = world.as("tester");
  for (const name of ["net1", "net2"]) {
    await api.attach({ target, network: { name: "blue", interface: name } }, neverAborted);
  }
  // As a container runtime that crashed leaves it.
  world.executor.lease("another", "eth0");
  world.executor.failOn("del", pluginFailed, 0);
  const which = { by: "interface", interface: "net2" } as const;
  await expect(api.detach({ target, which }, neverAborted)).rejects.toThrow();
  const held = Promise.withResolvers<void>();
  world.executor.holdOn("gc", held.promise);
  const collecting = world.engine.collectGarbage(["blue"], neverAborted);
  await until(() => world.executor.load.now === 1);
  const attaching = api.attach({ target, network: { name: "blue", interface: "net3" } }, neverAborted);
  await settle();
  held.resolve();
  await Promise.all([collecting, attaching]);
  const names = world.executor.leases().map((lease) => lease.split(" ")[1]);
  expect(names).toEqual(["net1", "net2", "net3"]);
});
