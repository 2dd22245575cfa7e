import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { MemoryJournal } from "../fakes/memory-journal.ts";
import { createWorld, settle, until } from "./world.ts";

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
