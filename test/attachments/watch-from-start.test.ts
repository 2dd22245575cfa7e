import { expect, test } from "vitest";
import type { InterfaceEvent, NodeApi } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, settle } from "./world.ts";

async function untilSynced(api: NodeApi): Promise<readonly InterfaceEvent[]> {
  const events: InterfaceEvent[] = [];
  for await (const event of api.watch({}, neverAborted)) {
    events.push(event);
    if (event.kind === "synced") break;
  }
  return events;
}

test("a detach that was interrupted is told to a reconciler that comes after recovery, and to nobody else", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  const { answer } = await attachBlue(world, "/run/netns/b");
  world.executor.holdOn("del", new Promise(() => undefined));
  const which = { by: "interface", interface: "net1" } as const;
  world
    .as("tester")
    .detach({ target, which }, neverAborted)
    .catch(() => undefined);
  await settle();
  expect(await world.states()).toEqual(["net1 attached", "net1 detaching"]);
  world.executor.holdOn("del", undefined);
  await world.restart();
  const { attachmentId } = answer.interface;
  const present = { kind: "present", interface: { attachmentId } };
  const ended = { kind: "detached", interface: { name: "net1", netns: "/run/netns/a", network: "blue" } };
  expect(await untilSynced(world.as("controller", true))).toMatchObject([present, ended, { kind: "synced" }]);
  expect(await untilSynced(world.as("tester"))).toMatchObject([present, { kind: "synced" }]);
});

test("a detach that is still being finished is present, and its end told when it comes", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.executor.holdOn("del", new Promise(() => undefined));
  world
    .as("tester")
    .detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted)
    .catch(() => undefined);
  await settle();
  const { promise, resolve } = Promise.withResolvers<void>();
  world.executor.holdOn("del", promise);
  const restarted = world.restart();
  await settle();
  const events: string[] = [];
  for await (const { kind } of world.as("controller", true).watch({}, neverAborted)) {
    events.push(kind);
    if (kind === "synced") resolve();
    if (kind === "detached") break;
  }
  await restarted;
  expect(events).toEqual(["present", "synced", "detached"]);
});
