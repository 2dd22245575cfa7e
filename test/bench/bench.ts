import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs, promisify } from "node:util";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";
import { startAgentProcess } from "../agent/agent-process.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { type Sample, summaryTable } from "./summary.ts";

/*
 * AttachNetwork and DetachNetwork over the Unix socket against the bare bridge
 * plugin started by a C program, in turns within one run: machines differ and
 * drift, the ratio stays. Run it by `make bench`.
 */

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "6" }, write: { type: "string" } },
});
const rounds = Number(values.rounds);
const namespaces = 32;
const execute = promisify(execFile);

const scratch = mkdtempSync(join(tmpdir(), "podplug-bench-"));
const driver = join(scratch, "bare-plugin");
execFileSync("cc", ["-O2", "-o", driver, join(import.meta.dirname, "bare-plugin.c")], { stdio: "inherit" });

await using node = await makeNode();
const bareConfig = join(scratch, "bridge.json");
writeFileSync(bareConfig, JSON.stringify({ cniVersion: "1.0.0", name: "blue", ...node.bridgePlugin() }));
const pods = await Promise.all(Array.from({ length: namespaces }, () => makeNetns("bench")));
await using _agent = await startAgentProcess(node.configFile);
await using client = createNodeClient({ server: `unix://${node.socket}` });

async function bare(verb: "ADD" | "DEL", inFlight: number): Promise<Sample> {
  const paths = pods.map((pod) => pod.path);
  const { stdout } = await execute(driver, [
    verb,
    String(inFlight),
    "/usr/lib/cni/bridge",
    bareConfig,
    ...paths,
  ]);
  const times = stdout.trim().split("\n").map(Number);
  return { latenciesMs: times.slice(0, -1).map((each) => each / 1000), totalMs: (times.at(-1) ?? 0) / 1000 };
}

async function podplug(verb: "ADD" | "DEL", inFlight: number): Promise<Sample> {
  const latenciesMs: number[] = [];
  const waiting = [...pods];
  const begin = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let pod = waiting.pop(); pod; pod = waiting.pop()) {
        const start = performance.now();
        await call(verb, { kind: "netns", netns: pod.path });
        latenciesMs.push(performance.now() - start);
      }
    }),
  );
  return { latenciesMs, totalMs: performance.now() - begin };
}

async function call(verb: "ADD" | "DEL", target: Target): Promise<void> {
  if (verb === "ADD") {
    await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  } else {
    await client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  }
}

const results: { verb: string; inFlight: number; bare: Sample[]; podplug: Sample[] }[] = [];
for (const inFlight of [1, 8, 32]) {
  const add = { verb: "attach / ADD", inFlight, bare: [] as Sample[], podplug: [] as Sample[] };
  const del = { verb: "detach / DEL", inFlight, bare: [] as Sample[], podplug: [] as Sample[] };
  for (let round = -1; round < rounds; round += 1) {
    for (const [who, run] of round % 2
      ? ([
          ["bare", bare],
          ["podplug", podplug],
        ] as const)
      : ([
          ["podplug", podplug],
          ["bare", bare],
        ] as const)) {
      const added = await run("ADD", inFlight);
      const deleted = await run("DEL", inFlight);
      // The first round warms up.
      if (round < 0) continue;
      add[who].push(added);
      del[who].push(deleted);
    }
  }
  results.push(add, del);
}

const table = summaryTable(results, rounds * namespaces);
console.log(table);
if (values.write) writeFileSync(values.write, `${table}\n`);
await Promise.all(pods.map((pod) => pod[Symbol.asyncDispose]()));
