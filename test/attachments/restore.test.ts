import { expect, test } from "vitest";
import type { PodLife } from "../../src/attachments/core.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createWorld, pluginFailed, settle } from "./world.ts";

const web = { namespace: "demo", name: "web" };
const target = { kind: "pod", pod: web } as const;
const blue = { name: "blue" };

/** A pod into which `tester` plugged blue as net1 and green as data0, and whose sandbox ended then. */
async function worldWithEndedSandbox(options: { life?: () => PodLife; replaced?: boolean } = {}) {
  const { life = () => "living", replaced = true } = options;
  const world = await createWorld({ podLife: life });
  await world.sandboxes.addPod(web);
  const tester = () => world.as("tester");
  await tester().attach({ target, network: blue, key: "k" }, neverAborted);
  await tester().attach({ target, network: { name: "green", interface: "data0" } }, neverAborted);
  const next = replaced ? await world.sandboxes.replaceSandbox(web) : world.sandboxes.stopPod(web);
  const told = async () =>
    (await tester().list({}, neverAborted))
      .filter(({ attachmentId }) => attachmentId !== "")
      .map(({ name, network, state, owner }) => `${name} ${network} ${state} ${owner}`)
      .toSorted();
  return { world, tester, next, told };
}

const attachedAgain = ["data0 green attached tester", "net1 blue attached tester"];
const waiting = ["data0 green waiting tester", "net1 blue waiting tester"];

test("a replaced sandbox gets its attachments again, with the same names and owners", async () => {
  const { world, tester, next, told } = await worldWithEndedSandbox();
  await world.engine.sweep();
  expect(world.linkNames(next?.netnsPath ?? "").toSorted()).toEqual(["data0", "eth0", "net1"]);
  expect(world.executor.leases()).toHaveLength(2);
  expect(await told()).toEqual(attachedAgain);
  // What was unnamed still is: the same request again finds it.
  expect(await tester().attach({ target, network: blue, key: "k" }, neverAborted)).toMatchObject({
    created: false,
    interface: { name: "net1" },
  });
  expect(await world.states()).toEqual(["data0 attached", "net1 attached"]);
});

test("they wait while the pod has no sandbox, hold no address, and keep their names", async () => {
  const { world, tester, told } = await worldWithEndedSandbox({ replaced: false });
  await world.engine.sweep();
  expect(await told()).toEqual(waiting);
  expect(world.executor.leases()).toEqual([]);
  await world.engine.sweep();
  expect(await told()).toEqual(waiting);
  const { netnsPath } = await world.sandboxes.replaceSandbox(web);
  expect(await tester().attach({ target, network: blue, key: "new" }, neverAborted)).toMatchObject({
    interface: { name: "net2" },
  });
  await world.engine.sweep();
  expect(world.linkNames(netnsPath).toSorted()).toEqual(["data0", "eth0", "net1", "net2"]);
});

test.each(["before", "after"])(
  "they are attached again although the agent died %s their DEL",
  async (when) => {
    const { world, told } = await worldWithEndedSandbox({ replaced: false });
    if (when === "before") world.executor.failOn("del", pluginFailed);
    await world.engine.sweep();
    world.executor.failOn("del", undefined);
    await world.sandboxes.replaceSandbox(web);
    await world.restart();
    await world.engine.sweep();
    expect(await told()).toEqual(attachedAgain);
  },
);

test.each<PodLife>(["gone", "ending"])("nothing waits for a pod that is %s", async (end) => {
  let life: PodLife = "living";
  const { world, told } = await worldWithEndedSandbox({ life: () => life, replaced: false });
  life = end;
  await world.engine.sweep();
  expect(await told()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("what waits for a pod that is deleted meanwhile is forgotten", async () => {
  let life: PodLife = "living";
  const { world, told } = await worldWithEndedSandbox({ life: () => life, replaced: false });
  await world.engine.sweep();
  expect(await told()).toEqual(waiting);
  life = "gone";
  await world.engine.sweep();
  expect(await world.states()).toEqual([]);
});

test("where nobody tells of pods, one without a sandbox counts as gone after ten minutes", async () => {
  let minutes = 0;
  const { world, told } = await worldWithEndedSandbox({ life: () => "unknown", replaced: false });
  world.clock.steadyMs = () => minutes * 60_000;
  for (minutes = 0; minutes < 10; minutes += 1) await world.engine.sweep();
  expect(await told()).toEqual(waiting);
  await world.engine.sweep();
  expect(await told()).toEqual([]);
});

test("a reconciler's own isn't attached again by the engine, nor what was plugged by namespace or container", async () => {
  const world = await createWorld({ podLife: () => "living" });
  const { id, netnsPath } = await world.sandboxes.addPod(web);
  await world
    .as("controller", true)
    .attach({ target, network: blue, owner: "annotation/npwg" }, neverAborted);
  const tester = world.as("tester");
  await tester.attach(
    { target: { kind: "container", containerId: id }, network: blue, key: "c" },
    neverAborted,
  );
  await tester.attach({ target: { kind: "netns", netns: netnsPath }, network: blue, key: "n" }, neverAborted);
  const next = await world.sandboxes.replaceSandbox(web);
  await world.engine.sweep();
  expect(world.linkNames(next.netnsPath)).toEqual(["eth0"]);
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

test("one that is detached while it waits doesn't come back", async () => {
  const { world, tester, told } = await worldWithEndedSandbox({ replaced: false });
  await world.engine.sweep();
  const which = { by: "interface", interface: "data0" } as const;
  expect(await tester().detach({ target, which }, neverAborted)).toMatchObject({ detached: true });
  await expect(
    world.as("another").detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted),
  ).rejects.toMatchObject({ reason: "OWNED_BY_OTHER" });
  await world.sandboxes.replaceSandbox(web);
  expect(await tester().detach({ target, which }, neverAborted)).toEqual({ detached: false });
  await world.engine.sweep();
  expect(await told()).toEqual(["net1 blue attached tester"]);
});

test("a name that somebody else has by then stays theirs", async () => {
  const { world, told } = await worldWithEndedSandbox();
  const taken = { target, network: { name: "blue", interface: "data0" } };
  await world.as("another").attach(taken, neverAborted);
  await world.engine.sweep();
  expect(await told()).toEqual(["data0 blue attached another", "net1 blue attached tester"]);
});

test("one that hangs keeps no other pod's, and is begun once", async () => {
  const { world } = await worldWithEndedSandbox();
  const db = { namespace: "demo", name: "db" };
  await world.sandboxes.addPod(db);
  await world.as("tester").attach({ target: { kind: "pod", pod: db }, network: blue }, neverAborted);
  const { netnsPath } = await world.sandboxes.replaceSandbox(db);
  const held = Promise.withResolvers<void>();
  const { add } = world.executor;
  let hanging = 0;
  world.executor.add = async (attachment, ...rest) => {
    if (attachment.netnsPath !== netnsPath) {
      hanging += 1;
      await held.promise;
    }
    return await add(attachment, ...rest);
  };
  const sweeps = [world.engine.sweep()];
  await expect.poll(() => world.linkNames(netnsPath)).toEqual(["eth0", "net1"]);
  sweeps.push(world.engine.sweep(), world.engine.sweepLeftover());
  await settle();
  expect(hanging).toBe(1);
  held.resolve();
  await Promise.all(sweeps);
  expect(await world.states()).toEqual(["data0 attached", "net1 attached", "net1 attached"]);
});

test("a network that can't be attached is tried again, and leaves nothing meanwhile", async () => {
  const { world, next, told } = await worldWithEndedSandbox();
  world.executor.failOn("add", new PodplugError("PLUGIN_FAILED", "no"));
  await world.engine.sweep();
  expect(await told()).toEqual(waiting);
  expect(world.linkNames(next?.netnsPath ?? "")).toEqual(["eth0"]);
  expect(world.executor.leases()).toEqual([]);
  world.executor.failOn("add", undefined);
  const { length } = world.executor.runs;
  await world.engine.sweep();
  expect(world.executor.runs).toHaveLength(length);
  world.clock.fireAll();
  await expect.poll(told).toEqual(attachedAgain);
});

test("a sandbox that is started again under its ID gets its attachments, also after an ADD that failed", async () => {
  const world = await createWorld({ podLife: () => "living" });
  await world.sandboxes.addPod(web);
  await world.as("tester").attach({ target, network: blue }, neverAborted);
  const { netnsPath } = await world.sandboxes.restartSandbox(web);
  world.executor.failOn("add", pluginFailed);
  await world.engine.sweep();
  expect(await world.states()).toEqual(["net1 waiting"]);
  world.executor.failOn("add", undefined);
  world.clock.fireAll();
  await expect.poll(() => world.states()).toEqual(["net1 attached"]);
  expect(world.linkNames(netnsPath)).toEqual(["eth0", "net1"]);
  expect(world.executor.leases()).toHaveLength(1);
});

test("it gets them also after an ADD that failed together with its undoing", async () => {
  const world = await createWorld({ podLife: () => "living" });
  await world.sandboxes.addPod(web);
  await world.as("tester").attach({ target, network: blue }, neverAborted);
  const { netnsPath } = await world.sandboxes.restartSandbox(web);
  world.executor.failOn("add", pluginFailed);
  let dels = 0;
  const { del } = world.executor;
  world.executor.del = async (...asked) => {
    dels += 1;
    // The first one is that of the sandbox that ended.
    if (dels === 2) throw pluginFailed;
    await del(...asked);
  };
  await world.engine.sweep();
  expect(await world.states()).toEqual(["net1 failed"]);
  world.executor.failOn("add", undefined);
  await expect
    .poll(
      async () => {
        world.clock.fireAll();
        await world.engine.sweepLeftover();
        return await world.states();
      },
      { timeout: 10_000 },
    )
    .toEqual(["net1 attached"]);
  expect(world.linkNames(netnsPath)).toEqual(["eth0", "net1"]);
  expect(world.executor.leases()).toHaveLength(1);
});

test("a container that is started again under its ID is plugged into anew, and the earlier address is given back", async () => {
  const world = await createWorld();
  const { id } = await world.sandboxes.addPod(web);
  const request = { target: { kind: "container", containerId: id }, network: blue } as const;
  await world.as("tester").attach(request, neverAborted);
  const { netnsPath } = await world.sandboxes.restartSandbox(web);
  expect(await world.as("tester").attach(request, neverAborted)).toMatchObject({ created: true });
  expect(world.linkNames(netnsPath)).toEqual(["eth0", "net1"]);
  expect(world.executor.runs).toEqual(["ADD net1", "DEL net1", "ADD net1"]);
  expect(world.executor.leases()).toHaveLength(1);
});
