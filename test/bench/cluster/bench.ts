import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs, promisify } from "node:util";
import { systemClock } from "../../../src/domain/clock.ts";
import { neverAborted } from "../../../src/domain/signals.ts";
import { createKubeAccess } from "../../../src/kube/access.ts";
import { createApiClient } from "../../../src/kube/api-client.ts";
import { startClusterAgent } from "../../cluster/support/agent.ts";
import { useCluster } from "../../cluster/support/cluster.ts";
import { networksAnnotation } from "../../cluster/support/plug-world.ts";
import { type Pod, podManifest, podSandbox, readyPods } from "../../cluster/support/pods.ts";
import { figuresTable } from "./figures.ts";
import { followLinks, type PodLinks } from "./pod-links.ts";
import { followStatuses } from "./pod-statuses.ts";

/*
 * What a user of annotations sees on a real Kubernetes: how long after the
 * PATCH the kernel has the link and the address, and network-status says so;
 * one pod at a time and many at once, beside the bare plugin in the same
 * minute, and the agent's resident memory. Run it by `make bench-cluster`.
 */

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "40" },
    rounds: { type: "string", default: "10" },
    pods: { type: "string", default: "20" },
    // On the machine's disk, as on a node, where each record is synced; the cluster's own files are in memory.
    state: { type: "string", default: "/var/tmp" },
  },
});
const runs = Number(values.runs);
const rounds = Number(values.rounds);
const many = Number(values.pods);
const warmUps = 3;
const ifName = "net1";
const execute = promisify(execFile);
const cluster = useCluster();

await using cleanup = new AsyncDisposableStack();
const namespace = cleanup.use(await cluster.makeNamespace());
const stateDir = await mkdtemp(join(values.state, "podplug-bench-"));
cleanup.defer(() => rm(stateDir, { recursive: true }));
const agent = cleanup.use(await startClusterAgent(cluster, { config: { stateDir } }));
const client = createApiClient({
  access: cleanup.use(await createKubeAccess({ kind: "kubeconfig", path: cluster.kubeconfigPath })),
  clock: systemClock,
});

const plugin = (name: string, subnet: string) => ({
  cniVersion: "1.0.0",
  name,
  type: "bridge",
  bridge: `bench-${name}`,
  ipam: { type: "host-local", dataDir: join(agent.folder, "leases"), ranges: [[{ subnet }]] },
});
await cluster.apply({
  apiVersion: "k8s.cni.cncf.io/v1",
  kind: "NetworkAttachmentDefinition",
  metadata: { namespace: namespace.name, name: "blue" },
  spec: { config: JSON.stringify(plugin("blue", "10.251.0.0/22")) },
});
const bareConfig = join(agent.folder, "bare.json");
await writeFile(bareConfig, JSON.stringify(plugin("bare", "10.252.0.0/22")));
const driver = join(agent.folder, "bare-plugin");
execFileSync("cc", ["-O2", "-o", driver, join(import.meta.dirname, "../bare-plugin.c")], {
  stdio: "inherit",
});

const labels = { app: "bench" };
await cluster.apply(
  ...Array.from({ length: many + 2 }, (_, index) =>
    podManifest(namespace.name, `pod-${index}`, { labels, command: ["sleep", "2147483647"] }),
  ),
);
const pods = await Promise.all(
  (await readyPods(cluster, namespace.name, "app=bench", many + 2)).map(async (pod) => {
    const sandbox = await podSandbox(pod);
    return { pod, sandbox, links: cleanup.use(await followLinks(sandbox.netnsPath, ifName)) };
  }),
);
const statuses = cleanup.use(await followStatuses(client, namespace.name));

/** Resolves with the time at which the answer was there. */
async function patch({ metadata }: Pod, networks: string | null): Promise<number> {
  const call = {
    method: "PATCH",
    path: `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`,
    body: {
      type: "application/merge-patch+json",
      content: { metadata: { annotations: { [networksAnnotation]: networks } } },
    },
    doing: "annotating a pod",
  } as const;
  await client.call(call, neverAborted);
  return performance.now();
}

interface Plugged {
  readonly pod: Pod;
  readonly links: PodLinks;
}

async function add({ pod, links }: Plugged) {
  const seen = Promise.all([
    links.next("link"),
    links.next("address"),
    statuses.next(pod.metadata.name, ifName, true),
  ]);
  const patchedAt = await patch(pod, `blue@${ifName}`);
  const [link, address, status] = await seen;
  return { patchedAt, link, address, status };
}

async function del({ pod, links }: Plugged) {
  const seen = Promise.all([links.next("gone"), statuses.next(pod.metadata.name, ifName, false)]);
  const patchedAt = await patch(pod, null);
  const [link, status] = await seen;
  return { patchedAt, link, status };
}

async function bare(verb: "ADD" | "DEL", netnsPath: string): Promise<number> {
  const { stdout } = await execute(driver, [
    verb,
    "1",
    join(cluster.cni.binDir, "bridge"),
    bareConfig,
    netnsPath,
  ]);
  return Number(stdout.split("\n")[0]) / 1000;
}

async function residentMb(): Promise<string> {
  const status = await readFile(`/proc/${agent.program.pid}/status`, "utf8");
  return (Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024).toFixed(0);
}

const [single, floor, ...burst] = pods;
if (!single || !floor) throw new Error("there are no pods");
const times = new Map<string, number[]>();
function note(what: string, valueMs: number): void {
  times.set(what, [...(times.get(what) ?? []), valueMs]);
}

await delay(5_000);
const idleMb = await residentMb();
for (let run = -warmUps; run < runs; run += 1) {
  const added = await add(single);
  await delay(500);
  const bareAddMs = await bare("ADD", floor.sandbox.netnsPath);
  await delay(500);
  const deleted = await del(single);
  await delay(500);
  const bareDelMs = await bare("DEL", floor.sandbox.netnsPath);
  await delay(500);
  if (run < 0) continue;
  note("add: link", added.link - added.patchedAt);
  note("add: address", added.address - added.patchedAt);
  note("add: status", added.status - added.patchedAt);
  note("del: link", deleted.link - deleted.patchedAt);
  note("del: status", deleted.status - deleted.patchedAt);
  note("bare plugin: ADD", bareAddMs);
  note("bare plugin: DEL", bareDelMs);
}

/** Of the agent alone, its plugins apart. */
async function processorMs(): Promise<number> {
  const stat = await readFile(`/proc/${agent.program.pid}/stat`, "utf8");
  const [userTicks = "0", systemTicks = "0"] = stat
    .replace(/^.*\) /, "")
    .split(" ")
    .slice(11);
  return (Number(userTicks) + Number(systemTicks)) * 10;
}

const processorBeforeMs = await processorMs();
for (let round = -1; round < rounds; round += 1) {
  for (const [verb, work] of [
    ["add", add],
    ["del", del],
  ] as const) {
    const beganAt = performance.now();
    const all = await Promise.all(burst.map((each) => work(each)));
    if (round >= 0) {
      note(`${many} pods, ${verb}: last link`, Math.max(...all.map(({ link }) => link)) - beganAt);
      note(`${many} pods, ${verb}: last status`, Math.max(...all.map(({ status }) => status)) - beganAt);
    }
    await delay(1_500);
  }
}
const processorEachMs = ((await processorMs()) - processorBeforeMs) / (burst.length * (rounds + 1));

console.log(figuresTable(Array.from(times, ([what, valuesMs]) => ({ what, valuesMs }))));
console.log(`\nThe agent's resident memory: ${idleMb} MB idle, ${await residentMb()} MB after the runs.`);
console.log(`Its processor time for an add and a del of the bursts: ${processorEachMs.toFixed(1)} ms.`);
