import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, pluginFailed, settle, until } from "./world.ts";

const path = "/run/netns/a";

test("what a second failed attach of a name left is tried again as well", async () => {
  const world = await createWorld();
  world.executor.failOn("add", pluginFailed);
  world.executor.failOn("del", pluginFailed);
  await expect(attachBlue(world)).rejects.toThrow();

  const held = Promise.withResolvers<void>();
  world.executor.failOn("del", undefined);
  world.executor.holdOn("add", held.promise);
  const network = { name: "blue", interface: "net1" };
  const target = { kind: "netns", netns: path } as const;
  const again = world.as("tester").attach({ target, network }, neverAborted);
  await until(() => world.executor.load.now === 1 && world.executor.runs.at(-1) === "ADD net1");
  world.executor.failOn("del", pluginFailed);
  held.resolve();
  await expect(again).rejects.toThrow();
  expect(await world.states()).toEqual(["net1 failed"]);

  world.executor.failOn("del", undefined);
  world.clock.fireAll();
  await settle();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

test("a plugin that wants to be left alone for a while is, beside the backoff, each time its DEL fails", async () => {
  const world = await createWorld();
  await attachBlue(world);
  const tryLater = new PodplugError("PLUGIN_FAILED", "not now", { cniCode: 11, retryAfterMs: 5_000 });
  world.executor.failOn("del", tryLater);
  const which = { by: "interface", interface: "net1" } as const;
  const target = { kind: "netns", netns: path } as const;
  await expect(world.as("tester").detach({ target, which }, neverAborted)).rejects.toThrow("not now");
  world.clock.fireAll();
  await settle();
  // Shorter ones are other timers.
  const [first = 0, second = 0] = world.clock.delays.filter((delayMs) => delayMs > 2_000);
  expect(first).toBeGreaterThanOrEqual(5_500);
  expect(first).toBeLessThanOrEqual(6_000);
  expect(second).toBeGreaterThanOrEqual(6_000);
  expect(second).toBeLessThanOrEqual(7_000);
});
