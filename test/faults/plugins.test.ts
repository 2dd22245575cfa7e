import { chmod, open, rename } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createNodeClient, type NodeClient } from "../../src/client/node-client.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import type { Reason } from "../../src/domain/reasons.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { type AgentProgram, readableLog, startAgentProgram } from "../agent/agent-program.ts";
import {
  type Behaviour,
  crashes,
  fails,
  hangs,
  leavesChild,
  leavesDaemon,
  makePluginDirectory,
  type PluginDirectory,
  prints,
  printsBytes,
} from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { openFiles, residentMb } from "../support/process-facts.ts";

/*
 * Plugins that break every rule, after bridge in a chain, while healthy
 * networks come and go in other namespaces. An attach that fails says why, and
 * leaves no interface, lease, record, process, descriptor or memory behind.
 */

/** Long enough for all that is done while plugins hang, also on a busy machine. */
const timeoutSeconds = 20;

let stack: AsyncDisposableStack;
let plugins: PluginDirectory;
let node: TestNode;
let agent: AgentProgram;
let client: NodeClient;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  plugins = stack.use(await makePluginDirectory());
  const config = { ...readableLog, cni: { timeoutSeconds, maxConcurrent: 2 } };
  node = stack.use(await makeNode({ binDirs: [plugins.path], config }));
  agent = stack.use(await startAgentProgram(node.configFile));
  client = stack.use(createNodeClient({ server: `unix://${node.socket}` }));
});
afterEach(() => stack.disposeAsync());

const makePod = async (): Promise<TestNetns> => stack.use(await makeNetns("plugin"));

async function attach(netns: TestNetns, name: string): Promise<void> {
  const target = { kind: "netns", netns: netns.path } as const;
  await client.attach({ target, network: { name, interface: "net1" } }, neverAborted);
}

async function detach(netns: TestNetns): Promise<void> {
  const target = { kind: "netns", netns: netns.path } as const;
  await client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
}

/** A network of bridge and then a plugin of this name, which does as told. */
async function defineBroken(type: string, behaviour: Behaviour, del?: Behaviour): Promise<void> {
  await plugins.add(type, { ADD: behaviour, ...(del && { DEL: del }) });
  await node.defineNetwork(type, [node.bridgePlugin(), { type }]);
}

/** Attaches and detaches, one after the other, until `until` settles; answers how long each took. */
async function comesAndGoes(netns: TestNetns, until: Promise<unknown>): Promise<readonly number[]> {
  const tookMs: number[] = [];
  const over = until.then(
    () => true,
    () => true,
  );
  while (!(await Promise.race([over, Promise.resolve(false)]))) {
    const began = performance.now();
    await attach(netns, "blue");
    await detach(netns);
    tookMs.push(performance.now() - began);
  }
  return tookMs;
}

async function expectNothingLeft(namespaces: readonly TestNetns[]): Promise<void> {
  for (const netns of namespaces) {
    expect((await netns.ipJson<IpLink[]>("addr")).map((link) => link.ifname)).toEqual(["lo"]);
  }
  expect(await node.leases()).toEqual([]);
  expect(await node.journalFiles()).toEqual([]);
  expect(await node.hostEnds()).toEqual([]);
  expect(await findMarkedProcesses(await node.markerPrefix())).toEqual([]);
}

interface Broken {
  readonly type: string;
  readonly does: Behaviour;
  readonly reason: Reason;
  readonly says: string;
}

const gigabyte = 1024 * 1024 * 1024;
const broken: readonly Broken[] = [
  { type: "silent", does: [], reason: "PLUGIN_BAD_OUTPUT", says: "silent" },
  { type: "garbling", does: [prints("\u0000<html>")], reason: "PLUGIN_BAD_OUTPUT", says: "garbling" },
  {
    type: "half",
    does: [prints('{"cniVersion":"1.0.0","ips":[')],
    reason: "PLUGIN_BAD_OUTPUT",
    says: "half",
  },
  { type: "lying", does: [prints({ ips: 7 })], reason: "PLUGIN_BAD_OUTPUT", says: "ips" },
  {
    type: "gushing",
    does: [printsBytes(gigabyte)],
    reason: "PLUGIN_BAD_OUTPUT",
    says: "8388608 bytes on stdout",
  },
  {
    type: "screaming",
    does: [printsBytes(gigabyte, "stderr")],
    reason: "PLUGIN_BAD_OUTPUT",
    says: "1048576 bytes on stderr",
  },
  { type: "crashing", does: [crashes("SEGV")], reason: "PLUGIN_CRASHED", says: "SIGSEGV" },
  { type: "refusing", does: [fails(999, "no", "really")], reason: "PLUGIN_FAILED", says: "no" },
  { type: "hanging", does: [hangs()], reason: "PLUGIN_TIMEOUT", says: "hanging" },
  {
    type: "breeding",
    does: [leavesChild(), leavesDaemon(), leavesDaemon(), hangs()],
    reason: "PLUGIN_TIMEOUT",
    says: "breeding",
  },
];

test("whatever a plugin does, its attach says so and leaves nothing, and others carry on", async () => {
  for (const { type, does } of broken) await defineBroken(type, does);
  const pods = await Promise.all(broken.map(makePod));
  const healthy = [await makePod(), await makePod()];
  // Once, so that all is open that stays open.
  for (const pod of healthy) await attach(pod, "blue");
  for (const pod of healthy) await detach(pod);
  const before = await residentMb(agent.pid);
  const filesBefore = await openFiles(agent.pid);

  const breaking = Promise.all(
    broken.map(async ({ type, reason, says }, index) => {
      const pod = pods[index];
      if (!pod) return;
      await expect(attach(pod, type), type).rejects.toEqual(failure(reason, says));
    }),
  );
  const [, ...rounds] = await Promise.all([breaking, ...healthy.map((pod) => comesAndGoes(pod, breaking))]);
  const slowest = Math.max(...rounds.flat());
  console.log(`beside broken plugins: ${rounds.flat().length} rounds, the slowest ${Math.round(slowest)} ms`);
  // Nobody has waited for the end of what hangs.
  expect(slowest).toBeLessThan(timeoutSeconds * 1_000);
  await expectNothingLeft([...pods, ...healthy]);
  await eventually(async () => (await residentMb(agent.pid)) - before < 150, "no memory is left");
  await client.close();
  await eventually(async () => (await openFiles(agent.pid)) <= filesBefore, "no descriptor is left");
});

test("more plugins that hang than may run at once don't keep the others waiting for their end", async () => {
  await defineBroken("hanging", [hangs()]);
  const stuck = await Promise.all(Array.from({ length: 3 }, makePod));
  const healthy = await makePod();
  const order: string[] = [];
  const hanging = stuck.map(async (pod) => {
    await expect(attach(pod, "hanging")).rejects.toEqual(failure("PLUGIN_TIMEOUT"));
    order.push("timeout");
  });
  const begun = async (): Promise<boolean> => (await plugins.order()).length === stuck.length;
  await eventually(begun, "all of them hang");
  await attach(healthy, "blue");
  await detach(healthy);
  order.push("healthy");
  await Promise.all(hanging);
  expect(order).toEqual(["healthy", "timeout", "timeout", "timeout"]);
  await expectNothingLeft([...stuck, healthy]);
});

test("a plugin that is missing or isn't executable is told by its path, and used as soon as it is there", async () => {
  const pod = await makePod();
  await node.defineNetwork("late", [node.bridgePlugin(), { type: "late" }]);
  await expect(attach(pod, "late")).rejects.toEqual(failure("PLUGIN_NOT_FOUND", plugins.path));
  await plugins.add("late", { ADD: [prints({ cniVersion: "1.0.0" })] });
  const file = join(plugins.path, "late");
  await chmod(file, 0o644);
  await expect(attach(pod, "late")).rejects.toEqual(failure("PLUGIN_NOT_FOUND", `${file} isn't executable`));
  expect(await plugins.order()).toEqual([]);
  await expectNothingLeft([pod]);
  await chmod(file, 0o755);
  await attach(pod, "late");
  await detach(pod);
  await expectNothingLeft([pod]);
});

test("a plugin's file that is written while it is to run is waited for, and others carry on", async () => {
  const [pod, healthy] = [await makePod(), await makePod()];
  await defineBroken("written", [prints({ cniVersion: "1.0.0" })]);
  const writing = await open(join(plugins.path, "written"), "r+");
  const attaching = attach(pod, "written");
  await eventually(async () => (await node.leases()).length === 1, "the plugin before it has done its part");
  await attach(healthy, "blue");
  expect(await plugins.order()).toEqual([]);
  await writing.close();
  await attaching;
  expect(await plugins.order()).toEqual(["written ADD"]);
  await detach(healthy);
  await detach(pod);
  await expectNothingLeft([pod, healthy]);
});

test("an attachment whose plugin is gone stays known, and is cleaned up when the plugin is back", async () => {
  const [pod, healthy] = [await makePod(), await makePod()];
  await defineBroken("going", [prints({ cniVersion: "1.0.0" })]);
  await attach(pod, "going");
  const file = join(plugins.path, "going");
  await rename(file, `${file}.away`);
  await expect(detach(pod)).rejects.toEqual(failure("PLUGIN_NOT_FOUND", "plugin going isn't installed"));
  expect(await client.list({ target: { kind: "netns", netns: pod.path } }, neverAborted)).toMatchObject([
    { name: "net1", state: "detaching", failure: { reason: "PLUGIN_NOT_FOUND" } },
  ]);
  await attach(healthy, "blue");
  await detach(healthy);
  expect(await node.leases()).toHaveLength(1);
  await rename(`${file}.away`, file);
  await eventually(async () => (await node.journalFiles()).length === 0, "it is cleaned up");
  await expectNothingLeft([pod, healthy]);
});
