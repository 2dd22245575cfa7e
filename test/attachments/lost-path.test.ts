import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { createWorld } from "./world.ts";

const first = "/proc/7/ns/net";
const second = "/proc/8/ns/net";

test("an attachment stays while a process is in its namespace, whatever path it was plugged by", async () => {
  const world = await createWorld();
  const target = await world.addNetns(first);
  const request = { target, network: { name: "blue", interface: "net1" } };
  await world.as("tester").attach(request, neverAborted);
  world.interfaces.addPath(second, first);
  world.interfaces.removePath(first);
  await world.engine.sweep();
  await world.restart();
  expect(await world.states()).toEqual(["net1 attached"]);
  expect(world.linkNames(second)).toEqual(["net1"]);

  world.interfaces.removePath(second);
  await world.engine.sweep();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});
