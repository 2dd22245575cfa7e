import { expect, test } from "vitest";
import type { EndLeftovers } from "../../src/attachments/leftovers.ts";
import type { MarkedProcess } from "../../src/cni/processes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { attachBlue, createWorld, settle, until } from "./world.ts";

const never = new Promise<void>(() => undefined);

/** Processes of an earlier run, which don't end before they are told to. */
function leftoversOf(processes: readonly MarkedProcess[]) {
  let there = [...processes];
  const stuck = new Set(processes);
  const end: EndLeftovers = async (spare) => {
    const concerned = there.filter((each) => !spare(each));
    there = there.filter((each) => spare(each) || stuck.has(each));
    return {
      ended: concerned.filter((each) => !stuck.has(each)),
      left: concerned.filter((each) => stuck.has(each)),
    };
  };
  return {
    end,
    start: (more: readonly MarkedProcess[]) => void there.push(...more),
    unstick: () => stuck.clear(),
    remaining: () => there.map(({ pid }) => pid),
  };
}

const processOf = (pid: number, sandboxId: string, verb: string, run = `agent/${pid}`): MarkedProcess => ({
  pid,
  env: { PODPLUG_RUN: run, CNI_COMMAND: verb, CNI_CONTAINERID: sandboxId, CNI_IFNAME: "net1" },
});

/** Killed in the middle of an ADD in namespace a, and with net1 in b. */
async function worldKilledDuringAdd() {
  const log = createRecordingLog();
  const world = await createWorld({ log });
  const { target: healthy } = await attachBlue(world, "/run/netns/b");
  world.executor.holdOn("add", never);
  void attachBlue(world, "/run/netns/a");
  await until(() => world.executor.runs.length === 2);
  world.executor.holdOn("add", undefined);
  world.executor.runs.length = 0;
  const target = { kind: "netns", netns: "/run/netns/a" } as const;
  const { id } = await world.sandboxes.locate(target, neverAborted);
  return { world, log, target, healthy, sandboxId: id };
}

test("a plugin that can't be ended holds its own sandbox, and no other, until it has ended", async () => {
  const { world, log, target, healthy, sandboxId } = await worldKilledDuringAdd();
  const leftovers = leftoversOf([processOf(4242, sandboxId, "ADD")]);
  await world.restart(leftovers.end);
  const api = world.as("tester");
  const net2 = { name: "blue", interface: "net2" };
  await api.attach({ target: healthy, network: net2 }, neverAborted);
  const held = failure("PLUGIN_STUCK", "4242 ADD net1");
  await expect(api.attach({ target, network: net2 }, neverAborted)).rejects.toEqual(held);
  const which = { by: "interface", interface: "net1" } as const;
  await expect(api.detach({ target, which }, neverAborted)).rejects.toEqual(held);
  await world.engine.sweep();
  world.clock.fireAll();
  await settle();
  expect(world.executor.runs).toEqual(["ADD net2"]);
  expect(await world.states()).toEqual(["net1 attached", "net1 attaching", "net2 attached"]);
  expect(log.lines.filter(({ level }) => level === "error")).toMatchObject([
    { facts: { sandbox: sandboxId, processes: ["4242 ADD net1"] } },
  ]);

  leftovers.unstick();
  world.clock.fireAll();
  // Behind what recovery owes by then.
  await until(() => world.executor.runs.includes("DEL net1"));
  await api.attach({ target, network: net2 }, neverAborted);
  expect(world.executor.runs).toEqual(["ADD net2", "DEL net1", "ADD net2"]);
  expect(await world.states()).toEqual(["net1 attached", "net2 attached", "net2 attached"]);
  expect(world.clock.waiting).toBe(0);
});

test("what else an earlier run left is ended all the same, and what serves an attachment is spared", async () => {
  const { world, healthy, sandboxId } = await worldKilledDuringAdd();
  const { id: healthyId } = await world.sandboxes.locate(healthy, neverAborted);
  const stuck = leftoversOf([processOf(1, sandboxId, "ADD")]);
  const others = [processOf(2, "another", "DEL"), processOf(3, healthyId, "ADD")];
  let there: readonly MarkedProcess[] = others;
  await world.restart(async (spare) => {
    const { left } = await stuck.end(spare);
    // As endProcesses does when the time is up: the second came while it looked for the first.
    if (left.length > 0) return { ended: [], left };
    const ended = there.filter((each) => !spare(each));
    there = there.filter(spare);
    return { ended, left };
  });
  expect(there.map(({ pid }) => pid)).toEqual([3]);
});

test("a try to end it again concerns what it started, never a plugin of this run", async () => {
  const { world, sandboxId } = await worldKilledDuringAdd();
  const leftovers = leftoversOf([processOf(1, sandboxId, "ADD", "agent/old")]);
  await world.restart(leftovers.end);
  leftovers.start([processOf(2, sandboxId, "ADD", "agent/old"), processOf(3, sandboxId, "ADD", "agent/new")]);
  leftovers.unstick();
  world.clock.fireAll();
  await settle();
  expect(leftovers.remaining()).toEqual([3]);
});

test("the round of CHECKs goes on past a sandbox that is held", async () => {
  const { world, healthy } = await worldKilledDuringAdd();
  const { id } = await world.sandboxes.locate(healthy, neverAborted);
  await world.restart(leftoversOf([processOf(1, id, "CHECK")]).end);
  await attachBlue(world, "/run/netns/c");
  const stopped = new AbortController();
  const watching = world.engine.watchOver(60_000, stopped.signal);
  await until(() => {
    world.clock.fireAll();
    return world.executor.runs.includes("CHECK net1");
  });
  stopped.abort();
  await watching;
});

test("garbage collection that can't be ended holds no sandbox", async () => {
  const { world, target } = await worldKilledDuringAdd();
  const leftovers = leftoversOf([processOf(7, "", "GC")]);
  await world.restart(leftovers.end);
  await world.as("tester").attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  expect(await world.states()).toEqual(["net1 attached", "net1 attached"]);
});

test("an agent stops although a plugin is still stuck", async () => {
  const { world, sandboxId } = await worldKilledDuringAdd();
  await world.restart(leftoversOf([processOf(1, sandboxId, "ADD")]).end);
  await world.engine.drain();
  expect(await world.states()).toEqual(["net1 attached", "net1 attaching"]);
});
