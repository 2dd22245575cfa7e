import { expect, test } from "vitest";
import { cniOf } from "../../src/attachments/apply.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { attachBlue, createWorld, pluginFailed, settle, until, type World } from "./world.ts";

const path = "/run/netns/a";
const target = { kind: "netns", netns: path } as const;
const network = { name: "blue", interface: "net1" };
const timeoutMs = 60_000;
const unanswered = new PodplugError("PLUGIN_TIMEOUT", "no answer in time", { mayGoOn: true });

/** A node whose plugins a daemon runs: what it was asked for it does, whoever waits for it or not. */
async function daemonWorld() {
  const world = await createWorld({ timeoutMs });
  world.executor.daemons.push("fake");
  let nowMs = 0;
  world.clock.steadyMs = () => nowMs;
  return {
    world,
    /** The daemon's ADD of the record that there is ends now. */
    async finishLate(): Promise<void> {
      const [record] = await world.journal.load();
      if (!record) throw new Error("there is no record");
      await world.executor.add(cniOf(record), neverAborted);
    },
    async pass(ms: number): Promise<void> {
      nowMs += ms;
      world.clock.fireAll();
      await settle();
    },
  };
}

async function requireGone(world: World): Promise<void> {
  expect(await world.states()).toEqual([]);
  expect(world.linkNames(path)).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
  expect(world.clock.waiting).toBe(0);
}

test("an ADD that a daemon ends after its DEL is undone all the same", async () => {
  const { world, finishLate, pass } = await daemonWorld();
  world.executor.failOn("add", unanswered, 0);
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "PLUGIN_TIMEOUT" });
  expect(await world.states()).toEqual(["net1 failed"]);
  world.executor.failOn("add", undefined);
  await finishLate();
  expect(world.linkNames(path)).toEqual(["net1"]);
  await pass(30_000);
  expect(await world.states()).toEqual(["net1 failed"]);
  await pass(29_999);
  expect(await world.states()).toEqual(["net1 failed"]);
  await finishLate();
  await pass(1);
  await requireGone(world);
});

test("its name is kept meanwhile, and a detach is told why it isn't done yet", async () => {
  const { world, pass } = await daemonWorld();
  world.executor.failOn("add", unanswered, 0);
  await expect(attachBlue(world)).rejects.toThrow();
  world.executor.failOn("add", undefined);
  await expect(world.as("tester").attach({ target, network }, neverAborted)).rejects.toMatchObject({
    reason: "CLEANUP_PENDING",
  });
  const which = { by: "interface", interface: "net1" } as const;
  await expect(world.as("tester").detach({ target, which }, neverAborted)).rejects.toThrow(
    "may still be running",
  );
  await pass(timeoutMs);
  await requireGone(world);
  expect(await world.as("tester").attach({ target, network }, neverAborted)).toMatchObject({ created: true });
});

test("an ADD that a daemon answered is over: nothing is waited for", async () => {
  const { world } = await daemonWorld();
  world.executor.failOn("add", pluginFailed);
  await expect(attachBlue(world)).rejects.toMatchObject({ reason: "PLUGIN_FAILED" });
  await requireGone(world);
  world.executor.failOn("add", undefined);
  await world.as("tester").attach({ target, network }, neverAborted);
  const which = { by: "interface", interface: "net1" } as const;
  await world.as("tester").detach({ target, which }, neverAborted);
  await requireGone(world);
});

test("an ADD that the agent was killed in may end beside the next one, also when that is killed too", async () => {
  const { world, finishLate, pass } = await daemonWorld();
  world.executor.holdOn("add", new Promise(() => undefined));
  void attachBlue(world);
  await until(() => world.executor.runs.includes("ADD net1"));
  world.executor.holdOn("add", undefined);
  await world.restart();
  expect(await world.states()).toEqual(["net1 failed"]);
  await pass(30_000);
  await world.restart();
  await pass(30_000);
  expect(await world.states()).toEqual(["net1 failed"]);
  await finishLate();
  await pass(30_000);
  await requireGone(world);
});

test("an interrupted replacement is finished once the daemon's ADD can't be running any more", async () => {
  const { world, finishLate, pass } = await daemonWorld();
  await attachBlue(world);
  world.executor.holdOn("add", new Promise(() => undefined));
  const replacement = { target, network: { ...network, name: "green" }, replace: true };
  void world.as("tester").attach(replacement, neverAborted);
  await until(() => world.executor.runs.filter((run) => run === "ADD net1").length === 2);
  world.executor.holdOn("add", undefined);
  await world.restart();
  await finishLate();
  await pass(timeoutMs);
  await world.engine.sweepLeftover();
  expect(await world.states()).toEqual(["net1 attached"]);
  expect(world.linkNames(path)).toEqual(["net1"]);
  expect(await world.as("tester").attach(replacement, neverAborted)).toMatchObject({ created: false });
});
