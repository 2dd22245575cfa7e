import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld } from "./world.ts";

const path = "/run/netns/a";
const net1 = { by: "interface", interface: "net1" } as const;
const pod = { namespace: "demo", name: "web" };

test("a target that is no network namespace any more can be detached from", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.removePath(path);
  world.interfaces.addFile(path);
  expect(await world.as("tester").detach({ target, which: net1 }, neverAborted)).toMatchObject({
    detached: true,
  });
  expect(world.executor.leases()).toEqual([]);
});

test("a pod that doesn't run any more can be detached from", async () => {
  const world = await createWorld();
  await world.sandboxes.addPod(pod);
  const target = { kind: "pod", pod } as const;
  const network = { name: "blue", interface: "net1" };
  await world.as("tester").attach({ target, network }, neverAborted);
  world.sandboxes.stopPod(pod);
  expect(await world.as("tester").detach({ target, which: net1 }, neverAborted)).toMatchObject({
    detached: true,
  });
  expect(world.executor.leases()).toEqual([]);
});

test("a container that is gone is known by the ID it was plugged by", async () => {
  const world = await createWorld();
  await world.sandboxes.addPod(pod, { containerId: "app-1" });
  const target = { kind: "container", containerId: "app-1" } as const;
  const network = { name: "blue", interface: "net1" };
  await world.as("tester").attach({ target, network }, neverAborted);
  world.sandboxes.removePod(pod);
  expect(await world.as("tester").detach({ target, which: net1 }, neverAborted)).toMatchObject({
    detached: true,
  });
});

test("of several namespaces that are gone, the one that had the interface is meant", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.removePath(path);
  await world.addNetns(path);
  const network = { name: "blue", interface: "net2" };
  await world.as("tester").attach({ target, network }, neverAborted);
  world.interfaces.removePath(path);
  const which = { by: "interface", interface: "net2" } as const;
  expect(await world.as("tester").detach({ target, which }, neverAborted)).toMatchObject({ detached: true });
  expect(await world.states()).toEqual(["net1 attached"]);
});

test("a renamed interface is known by the name that list shows", async () => {
  const world = await createWorld();
  const { target } = await attachBlue(world);
  world.interfaces.changeLink(path, "net1", { name: "net1-nic" });
  const which = { by: "interface", interface: "net1-nic" } as const;
  await expect(world.as("another").detach({ target, which }, neverAborted)).rejects.toMatchObject({
    reason: "OWNED_BY_OTHER",
  });
  await expect(world.as("tester").detach({ target, which }, neverAborted)).rejects.toMatchObject({
    reason: "INTERFACE_LEFT",
  });
});
