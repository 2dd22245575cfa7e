import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { asPodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { readableLog, startAgentProgram } from "../agent/agent-program.ts";
import { eventually } from "../server/eventually.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { openFiles } from "../support/process-facts.ts";

const execute = promisify(execFile);

test("an agent that is out of descriptors says so, undoes what it began, and works as soon as it has some", {
  timeout: 300_000,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await makeNode({ config: readableLog }));
  const pods = await Promise.all(Array.from({ length: 6 }, async () => stack.use(await makeNetns("files"))));
  const agent = stack.use(await startAgentProgram(node.configFile));
  const client = stack.use(createNodeClient({ server: `unix://${node.socket}` }));
  const targetOf = ({ path }: TestNetns) => ({ kind: "netns", netns: path }) as const;
  const attach = (pod: TestNetns) =>
    client.attach({ target: targetOf(pod), network: { name: "blue", interface: "net1" } }, neverAborted);
  const detach = (pod: TestNetns) =>
    client.detach({ target: targetOf(pod), which: { by: "interface", interface: "net1" } }, neverAborted);
  const limitTo = (files: number) => execute("prlimit", [`--pid=${agent.pid}`, `--nofile=${files}:`]);
  // Opens what stays open: the client's connections, and the kernel's events.
  await Promise.all(pods.map(attach));
  await Promise.all(pods.map(detach));
  const idle = await openFiles(agent.pid);

  const seen = new Map<string, number>();
  for (let spare = 0; spare <= 12; spare += 1) {
    // A limit is on a descriptor's number; they are given from the lowest on.
    await limitTo(idle + spare);
    const outcomes = await Promise.all(
      pods.map((pod) =>
        attach(pod).then(
          () => "attached",
          (error: unknown) => asPodplugError(error).reason,
        ),
      ),
    );
    for (const outcome of outcomes) seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
    await limitTo(4096);
    await eventually(async () => {
      // Namespaces of other tests are listed too.
      const listed = (await client.list({}, neverAborted)).filter(({ origin }) => origin === "podplug");
      return listed.every(({ state }) => state === "attached");
    }, "what was begun is whole or undone");
    await Promise.all(pods.map(detach));
    for (const pod of pods) {
      expect((await pod.ipJson<IpLink[]>("addr")).map(({ ifname }) => ifname)).toEqual(["lo"]);
    }
    expect(await node.leases()).toEqual([]);
    expect(await node.journalFiles()).toEqual([]);
  }
  console.log(`out of descriptors: ${[...seen].map(([outcome, count]) => `${count} ${outcome}`).join(", ")}`);
  expect(seen.get("RESOURCE_EXHAUSTED")).toBeGreaterThan(0);
  // Neither an unknown fault, nor one that is told of the network's file.
  expect([...seen.keys()].filter((outcome) => ["INTERNAL", "INVALID_NETWORK"].includes(outcome))).toEqual([]);
  expect(await findMarkedProcesses(await node.markerPrefix())).toEqual([]);
  await eventually(async () => (await openFiles(agent.pid)) <= idle, `it holds ${idle} descriptors again`);
});
