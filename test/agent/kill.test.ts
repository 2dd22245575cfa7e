import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { fails, makePluginDirectory, prints } from "../fixtures/plugins/plugin-directory.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type AgentProcess, startAgentProcess } from "./agent-process.ts";
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
}

const target = ({ netns }: World) => ({ kind: "netns", netns: netns.path }) as const;

interface Scenario {
  readonly what: string;
  /** How often each step is taken: the journal's files, and the plugins' runs. */
  readonly files: number;
  readonly plugins: number;
  readonly unlinks: number;
  /** Whether the attachment is there before. */
  readonly attachedBefore: boolean;
  change(world: World): Promise<unknown>;
}

/** The network's plugins are `slow`, a twentieth of a second or for ever, and bridge. */
const scenarios: readonly Scenario[] = [
  {
    what: "attach",
    files: 2,
    plugins: 2,
    unlinks: 0,
    attachedBefore: false,
    change: (world) => attach(world, "slow-blue"),
  },
  {
    what: "attach that fails",
    files: 1,
    plugins: 5,
    unlinks: 1,
    attachedBefore: false,
    change: (world) => attach(world, "broken"),
  },
  {
    what: "detach",
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
    what: "replace",
    files: 2,
    plugins: 4,
    unlinks: 0,
    attachedBefore: true,
    change: (world) => attach(world, "slow-green", true),
  },
];

test.each(scenarios)(
  "a kill at any instant of an $what leaves all or nothing",
  { timeout: 600_000 },
  async (scenario) => {
    await using plugins = await makePluginDirectory();
    await using node = await makeNode({ binDirs: [plugins.path] });
    await plugins.add("slow", {
      ADD: [takesItsTime, prints({ cniVersion: "1.0.0" })],
      DEL: [takesItsTime],
    });
    await plugins.add("broken", { ADD: [fails(100, "no")] });
    const slow = { type: "slow" };
    await node.defineNetwork("slow-blue", [slow, node.bridgePlugin()]);
    await node.defineNetwork("slow-green", [slow, node.bridgePlugin({ mtu: 1400 })]);
    await node.defineNetwork("broken", [slow, node.bridgePlugin(), { type: "broken" }]);
    await using netns = await makeNetns("kill");
    const agent = await startAgentProcess(node.configFile);
    const world: World = { node, netns, agent, idleFiles: await settledFiles(agent) };
    try {
      for (let round = 0; round < rounds; round += 1) {
        for (const point of pointsOf(scenario, round)) await killAt(world, scenario, point);
      }
    } finally {
      await world.agent[Symbol.asyncDispose]();
    }
  },
);

/** As long as it takes for the agent to be killed and started again, when the kill is to come meanwhile. */
const takesItsTime = `if [ -n "$PODPLUG_TEST_LINGER" ]; then sleep 1000; else sleep 0.05; fi`;

function pointsOf({ files, plugins, unlinks }: Scenario, round: number): readonly KillPoint[] {
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
  add("directory", 1, ["before", "after"]);
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
  expect(await world.agent.ended, `${where} was never reached`).toBe("SIGKILL");
  expect(await changing, where).toBe("failed");
  kills.set(where, (kills.get(where) ?? 0) + 1);

  world.agent = await startAgentProcess(world.node.configFile);
  const left = await census(world);
  expect(left, where).toEqual(left.link ? whole : gone);
  expect(await settledFiles(world.agent), where).toBeLessThanOrEqual(world.idleFiles);

  await withClient(world, (client) =>
    client.detach({ target: target(world), which: { by: "interface", interface: "net1" } }, neverAborted),
  );
  expect(await census(world), `${where}, detached`).toEqual(gone);
}

const whole = { link: true, leases: 1, journal: 1, listed: ["net1 attached"], hostEnds: 1, processes: 0 };
const gone = { link: false, leases: 0, journal: 0, listed: [], hostEnds: 0, processes: 0 };

async function census(world: World) {
  const { node, netns } = world;
  const links = await netns.ipJson<IpLink[]>("addr");
  const views = await withClient(world, (client) => client.list({ target: target(world) }, neverAborted));
  return {
    link: links.some((link) => link.ifname === "net1"),
    leases: (await node.leases()).length,
    journal: (await node.journalFiles()).length,
    listed: views.map((view) => `${view.name} ${view.state}`),
    hostEnds: await hostEnds(node.bridge),
    processes: (await findMarkedProcesses("")).length,
  };
}

/** The ports of the bridge; none while there is no bridge yet. */
async function hostEnds(bridge: string): Promise<number> {
  const links = await readdir("/sys/class/net");
  return links.includes(bridge) ? (await readdir(join("/sys/class/net", bridge, "brif"))).length : 0;
}

async function attach(world: World, network: string, replace = false): Promise<unknown> {
  const request = { target: target(world), network: { name: network, interface: "net1" }, replace };
  return await withClient(world, (client) => client.attach(request, neverAborted));
}

async function withClient<T>(
  { node }: World,
  work: (client: ReturnType<typeof createNodeClient>) => Promise<T>,
): Promise<T> {
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  return await work(client);
}

/** How many descriptors the agent holds once its connections are closed. */
async function settledFiles(agent: AgentProcess): Promise<number> {
  let least = await agent.openFiles();
  for (let tries = 0; tries < 20; tries += 1) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    least = Math.min(least, await agent.openFiles());
  }
  return least;
}
