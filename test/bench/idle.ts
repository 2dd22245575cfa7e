import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { startAgentProgram } from "../agent/agent-program.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { type ProcessUsage, usageOf } from "./process-usage.ts";

/*
 * What an agent costs that has nothing to do: 110 namespaces with an attachment
 * each, the default configuration, some minutes. Run it by `make bench-idle`.
 */

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, pods: { type: "string", default: "110" } },
});
const minutes = Number(values.minutes);

await using stack = new AsyncDisposableStack();
const node = stack.use(await makeNode({ config: { log: { level: "info", format: "json" } } }));
const ipam = { type: "host-local", dataDir: `${node.root}/leases`, ranges: [[{ subnet: "10.250.0.0/16" }]] };
await node.defineNetwork("many", [node.bridgePlugin({ ipam })]);
const agent = stack.use(await startAgentProgram(node.configFile));
const client = stack.use(createNodeClient({ server: `unix://${node.socket}` }));
for (let pod = 0; pod < Number(values.pods); pod += 1) {
  const netns = stack.use(await makeNetns("idle"));
  const target = { kind: "netns", netns: netns.path } as const;
  await client.attach({ target, network: { name: "many", interface: "net1" } }, neverAborted);
}
await client.close();

/** What 110 attaches leave to do (memory to collect, code to compile) isn't what idling costs. */
const settlingMs = 120_000;
await delay(settlingMs);

const percent = (ms: number, ofMs: number): string => `${((100 * ms) / ofMs).toFixed(3)} %`;
let before: ProcessUsage = usageOf(agent.pid);
const first = before;
for (let minute = 1; minute <= minutes; minute += 1) {
  await delay(60_000);
  const now = usageOf(agent.pid);
  const own = percent(now.ownMs - before.ownMs, 60_000);
  const plugins = percent(now.childrenMs - before.childrenMs, 60_000);
  const megabytes = Math.round(now.residentBytes / 2 ** 20);
  console.log(`minute ${minute}: agent ${own}, plugins' CHECK ${plugins}, ${megabytes} MiB resident`);
  before = now;
}
const wholeMs = minutes * 60_000;
const own = percent(before.ownMs - first.ownMs, wholeMs);
const plugins = percent(before.childrenMs - first.childrenMs, wholeMs);
console.log(
  `${values.pods} attachments over ${minutes} minutes: agent ${own} of one CPU, plugins' CHECK ${plugins}`,
);
