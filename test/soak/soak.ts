import { mkdirSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createNodeClient } from "../../src/client/node-client.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { messageOf } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { startAgentProgram } from "../agent/agent-program.ts";
import { usageOf } from "../bench/process-usage.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { drawSoak } from "./picture.ts";
import { reportOf, type Sample, type Soak } from "./report.ts";

/*
 * Attaches and detaches at full rate in 50 namespaces, on a whole agent as it
 * is shipped, with real plugins: no call may fail, nothing may be left, and
 * the agent's memory may not grow. Run it by `make soak`.
 */

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "30" }, write: { type: "string", default: ".cache/soak" } },
});
const minutes = Number(values.minutes);
const namespaces = 50;
const sampleEveryMs = Math.min(10_000, (minutes * 60_000) / 60);

await using stack = new AsyncDisposableStack();
const node = stack.use(await makeNode({ config: { log: { level: "info", format: "json" } } }));
const ipam = { type: "host-local", dataDir: `${node.root}/leases`, ranges: [[{ subnet: "10.250.0.0/20" }]] };
await node.defineNetwork("plain", [node.bridgePlugin({ ipam })]);
await node.defineNetwork("chained", [
  node.bridgePlugin({ ipam, capabilities: { mac: true } }),
  { type: "tuning", sysctl: { "net.ipv4.conf.all.log_martians": "1" } },
]);
const agent = stack.use(await startAgentProgram(node.configFile));
const client = stack.use(createNodeClient({ server: `unix://${node.socket}` }));
const pods = await Promise.all(
  Array.from({ length: namespaces }, async () => stack.use(await makeNetns("soak"))),
);

let calls = 0;
const failures: string[] = [];
const samples: Sample[] = [];
const begin = performance.now();
const endMs = begin + minutes * 60_000;
const filesBefore = await openFiles();

await Promise.all([sampleUntilEnd(), ...pods.map(churn)]);
await client.close();
const soak: Soak = { minutes, namespaces, calls, samples, failures, left: await leftovers() };

const { text, passed } = reportOf(soak);
mkdirSync(values.write, { recursive: true });
writeFileSync(join(values.write, "soak.md"), text);
writeFileSync(join(values.write, "soak.svg"), drawSoak(samples));
console.log(text);
if (!passed) process.exitCode = 1;

/** Named and unnamed, one plugin and a chain, detached in another order than attached. */
async function churn(netns: TestNetns): Promise<void> {
  const target = { kind: "netns", netns: netns.path } as const;
  while (performance.now() < endMs && failures.length < 100) {
    const first = { target, network: { name: "plain", interface: "net1" } };
    const second = { target, network: { name: "chained" } };
    await call(() => client.attach(first, neverAborted));
    const answer = await call(() => client.attach(second, neverAborted));
    await call(() => client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted));
    const attachmentId = answer?.interface.attachmentId ?? "";
    await call(() => client.detach({ which: { by: "id", attachmentId } }, neverAborted));
  }
}

async function call<T>(work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    failures.push(messageOf(error));
    return undefined;
  } finally {
    calls += 1;
  }
}

async function sampleUntilEnd(): Promise<void> {
  let before = { calls: 0, atMs: begin, cpuMs: usageOf(agent.pid).ownMs };
  while (performance.now() < endMs) {
    await delay(sampleEveryMs);
    const atMs = performance.now();
    const { residentBytes, ownMs } = usageOf(agent.pid);
    samples.push({
      minute: (atMs - begin) / 60_000,
      residentBytes,
      callsPerSecond: ((calls - before.calls) * 1000) / (atMs - before.atMs),
      cpuPercent: (100 * (ownMs - before.cpuMs)) / (atMs - before.atMs),
      openFiles: await openFiles(),
    });
    before = { calls, atMs, cpuMs: ownMs };
  }
}

async function openFiles(): Promise<number> {
  return (await readdir(`/proc/${agent.pid}/fd`)).length;
}

/** What is there when everything was detached; nothing is to be. */
async function leftovers(): Promise<readonly string[]> {
  const links = await Promise.all(
    pods.map(async (pod) => (await pod.ipJson<{ ifname: string }[]>("link")).map(({ ifname }) => ifname)),
  );
  const processes = await findMarkedProcesses(await node.markerPrefix());
  const files = await openFiles();
  const complaints = agent.log().filter(({ level }) => level !== "info");
  return [
    ...links
      .flat()
      .filter((name) => name !== "lo")
      .map((name) => `link ${name}`),
    ...(await node.leases()).map((lease) => `lease ${lease}`),
    ...(await node.journalFiles()).map((file) => `record ${file}`),
    ...(await node.hostEnds()).map((name) => `host's end ${name}`),
    ...processes.map(({ pid, env }) => `process ${pid} ${env["CNI_COMMAND"]}`),
    // A connection that has just been closed may not be gone yet.
    ...(files > filesBefore + 2 ? [`${files - filesBefore} open files`] : []),
    ...complaints.map(({ level, message }) => `log line (${level}): ${message}`),
  ];
}
