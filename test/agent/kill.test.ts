import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import type { NetworkSelection } from "../../src/domain/selection.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type AgentProcess, type PreparedAgent, prepareAgentProcess } from "./agent-process.ts";
import { type KillPoint, nameOf } from "./kill-points.ts";

/*
 * The agent is killed at each step that its change of an attachment is made
 * of, and started again. Whatever the instant, interface, lease and record are
 * then all there or all gone, and no process or descriptor is left.
 */

const rounds = Number(process.env["PODPLUG_KILL_ROUNDS"] ?? 2);
const kills = new Map<string, number>();

afterAll(() => {
  const total = [...kills.values()].reduce((sum, count) => sum + count, 0);
  const lines = [...kills].map(([point, count]) => `${String(count).padStart(4)}  ${point}`);
  console.log(`kills at each point, ${total} in all:\n${lines.join("\n")}`);
});

interface World {
  readonly node: TestNode;
  readonly netns: TestNetns;
  readonly idleFiles: number;
  agent: AgentProcess;
  /** Takes the place of `agent` when that was killed. */
  next: PreparedAgent;
}

const target = ({ netns }: World) => ({ kind: "netns", netns: netns.path }) as const;

interface Scenario {
  readonly what: string;
  /** How often each step is taken: the journal's files, and the plugins' runs. */
  readonly files: number;
  readonly plugins: number;
  readonly unlinks: number;
  /** Durable records before the last one, where there are more than one. */
  readonly intents?: number;
  /** Whether the attachment is there before. */
  readonly attachedBefore: boolean;
  change(world: World): Promise<unknown>;
}

/** The networks' plugins are bridge and `slow`, which takes for ever when the agent is killed meanwhile. */
const scenarios: readonly Scenario[] = [
  {
    what: "an attach",
    files: 2,
    plugins: 2,
    unlinks: 0,
    attachedBefore: false,
    change: (world) => attach(world, "slow-blue"),
  },
  {
    what: "an attach with a default route",
    files: 3,
    intents: 2,
    plugins: 2,
    unlinks: 0,
    attachedBefore: false,
    change: (world) => attach(world, "slow-blue", false, { gateways: [world.node.gateway] }),
  },
  {
    what: "an attach that fails",
    files: 1,
    plugins: 5,
    unlinks: 1,
    attachedBefore: false,
    change: (world) => attach(world, "broken"),
  },
  {
    what: "a detach",
    files: 1,
    plugins: 2,
    unlinks: 1,
    attachedBefore: true,
    change: (world) =>
      withClient(world, (client) =>
        client.detach({ target: target(world), which: { by: "interface", interface: "net1" } }, neverAborted),
      ),
  },
  {
    what: "a replacement",
    files: 2,
    plugins: 4,
    unlinks: 0,
    attachedBefore: true,
    change: (world) => attach(world, "slow-green", true),
  },
];

test.each(scenarios)(
  "a kill at any instant of $what leaves all or nothing",
  { timeout: 600_000 },
  async (scenario) => {
    await using plugins = await makePluginDirectory();
    await using node = await makeNode({ binDirs: [plugins.path] });
    await plugins.addProgram("slow", slowPlugin);
    await plugins.addProgram("broken", brokenPlugin);
    const slow = { type: "slow" };
    await node.defineNetwork("slow-blue", [slow, node.bridgePlugin()]);
    await node.defineNetwork("slow-green", [slow, node.bridgePlugin({ mtu: 1400 })]);
    await node.defineNetwork("broken", [slow, node.bridgePlugin(), { type: "broken" }]);
    await using netns = await makeNetns("kill");
    await netns.ip("link", "add", "eth0", "address", "02:00:00:00:00:01", "type", "bridge");
    await netns.ip("addr", "add", "192.0.2.2/24", "dev", "eth0");
    await netns.ip("link", "set", "eth0", "up");
    await netns.ip("route", "add", "default", "via", "192.0.2.1", "metric", "100");
    const agent = await prepareAgentProcess(node.configFile).start();
    const world: World = {
      node,
      netns,
      agent,
      next: prepareAgentProcess(node.configFile),
      idleFiles: await fewestFiles(agent),
    };
    try {
      for (let round = 0; round < rounds; round += 1) {
        for (const point of pointsOf(scenario, round)) await killAt(world, scenario, point);
      }
    } finally {
      await world.agent[Symbol.asyncDispose]();
      await world.next[Symbol.asyncDispose]();
    }
  },
);

const slowPlugin = `#!/bin/sh
[ -z "$PODPLUG_TEST_LINGER" ] || sleep 1000
[ "$CNI_COMMAND" != ADD ] || echo '{ "cniVersion": "1.0.0" }'
`;
const brokenPlugin = `#!/bin/sh
[ "$CNI_COMMAND" = ADD ] || exit 0
echo '{ "cniVersion": "1.0.0", "code": 100, "msg": "no" }'
exit 1
`;

function pointsOf({ files, intents = 1, plugins, unlinks }: Scenario, round: number): readonly KillPoint[] {
  const points: KillPoint[] = [];
  const add = (step: KillPoint["step"], count: number, whens: readonly KillPoint["when"][]): void => {
    for (let nth = 1; nth <= count; nth += 1) {
      // Spread over what a bridge's ADD takes, and otherwise in each round.
      for (const when of whens) points.push({ step, nth, when, delayMs: (nth * 7 + round * 5) % 17 });
    }
  };
  add("content", files, ["before", "half", "after"]);
  add("rename", files, ["before", "after"]);
  // Completing what has a durable intent needs no second one.
  add("directory", intents, ["before", "after"]);
  add("plugin", plugins, ["before", "half", "after"]);
  add("unlink", unlinks, ["before", "after"]);
  return points;
}

async function killAt(world: World, scenario: Scenario, point: KillPoint): Promise<void> {
  const where = `${scenario.what}: ${nameOf(point)}`;
  if (scenario.attachedBefore) await attach(world, "slow-blue");
  await world.agent.arm(point);
  const changing = scenario.change(world).then(
    () => "answered",
    () => "failed",
  );
  expect(await changing, `${where} was never reached`).toBe("failed");
  expect(await endOf(world.agent), `${where} was never reached`).toBe("SIGKILL");
  kills.set(where, (kills.get(where) ?? 0) + 1);

  world.agent = await world.next.start();
  world.next = prepareAgentProcess(world.node.configFile);
  const left = await census(world);
  const defaultRoute = scenario.intents && left.link ? "net1" : "eth0";
  expect(left, where).toEqual({ ...(left.link ? whole : gone), defaultRoute });
  await eventually(
    async () => (await world.agent.openFiles()) <= world.idleFiles,
    `${where}: it holds no more than ${world.idleFiles} descriptors`,
  );

  await withClient(world, (client) =>
    client.detach({ target: target(world), which: { by: "interface", interface: "net1" } }, neverAborted),
  );
  expect(await census(world), `${where}, detached`).toEqual({ ...gone, defaultRoute: "eth0" });
}

/** Within the time that is enough for any change to come to its end. */
async function endOf(agent: AgentProcess): Promise<NodeJS.Signals | null | "goes on"> {
  return await Promise.race([agent.ended, sleep(10_000, "goes on" as const, { ref: false })]);
}

const whole = { link: true, leases: 1, journal: 1, listed: ["net1 attached"], hostEnds: 1, processes: 0 };
const gone = { link: false, leases: 0, journal: 0, listed: [], hostEnds: 0, processes: 0 };

async function census(world: World) {
  const { node, netns } = world;
  const links = await netns.ipJson<IpLink[]>("addr");
  const views = await withClient(world, (client) => client.list({ target: target(world) }, neverAborted));
  const routes = await netns.ipJson<{ readonly dev: string }[]>("route", "show", "default");
  return {
    link: links.some((link) => link.ifname === "net1"),
    leases: (await node.leases()).length,
    journal: (await node.journalFiles()).length,
    listed: views.flatMap(({ origin, name, state }) => (origin === "podplug" ? [`${name} ${state}`] : [])),
    hostEnds: (await node.hostEnds()).length,
    processes: (await findMarkedProcesses(await node.markerPrefix())).length,
    defaultRoute: routes.map(({ dev }) => dev).join(" "),
  };
}

async function attach(
  world: World,
  name: string,
  replace = false,
  defaultRoute?: NetworkSelection["defaultRoute"],
): Promise<unknown> {
  const network = { name, interface: "net1", defaultRoute };
  const request = { target: target(world), network, replace };
  return await withClient(world, (client) => client.attach(request, neverAborted));
}

async function withClient<T>(
  { node }: World,
  work: (client: ReturnType<typeof createNodeClient>) => Promise<T>,
): Promise<T> {
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  return await work(client);
}

/** How many descriptors the agent holds when nobody is connected. */
async function fewestFiles(agent: AgentProcess): Promise<number> {
  let fewest = await agent.openFiles();
  for (let looks = 0; looks < 20; looks += 1) {
    await sleep(5);
    fewest = Math.min(fewest, await agent.openFiles());
  }
  return fewest;
}
