import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { type LaunchedProgram, launchAgentProgram } from "../agent/agent-program.ts";
import { createRandom } from "../support/random.ts";
import type { Census } from "./census.ts";
import { createLoad, type Load } from "./kill-load.ts";
import { type KillWorld, makeKillWorld } from "./kill-world.ts";

/*
 * SIGKILL at random instants of a real agent under load, and of its recovery.
 * The seed decides the clients' changes and the instants:
 * PODPLUG_SEED=… PODPLUG_KILLS=… make test T=test/faults/random-kills.test.ts
 */

const kills = Number(process.env["PODPLUG_KILLS"] ?? 100);
const seed = Number(process.env["PODPLUG_SEED"] ?? Date.now() % 1_000_000);
const longestLoadMs = 500;
const longestStartMs = 400;

test(`${kills} kills at random instants under load leave nothing half done (seed ${seed})`, {
  timeout: 60_000 + kills * 10_000,
}, async () => {
  console.log(`random kills: seed ${seed}`);
  const random = createRandom(seed);
  await using world = await makeKillWorld(6);
  const load = createLoad(world, 6);
  let answered = 0;
  let agent = await startRecovered(world);
  const before = await world.census();
  let mostRules = 0;
  try {
    for (let kill = 1; kill <= kills; kill += 1) {
      const round = random.fork(`round ${kill}`);
      if (round.chance(0.25)) {
        await end(agent);
        agent = launchAgentProgram(world.node.configFile);
        await sleep(round.below(longestStartMs));
      } else {
        const working = load.run(round);
        await Promise.race([sleep(round.below(longestLoadMs)), working]);
        await end(agent);
        answered += await working;
      }
      await end(agent);
      agent = await startRecovered(world);
      const { firewallRules } = await expectAgreement(
        world,
        load,
        `kill ${kill}, seed ${seed}${troubleOf(agent)}`,
      );
      mostRules = Math.max(mostRules, firewallRules.length);
    }
    await detachAll(world);
    expect(await world.census()).toEqual(before);
  } finally {
    await agent[Symbol.asyncDispose]();
  }
  console.log(`random kills: ${kills} kills, ${answered} changes answered, ${mostRules} rules at most`);
});

async function startRecovered({ node }: KillWorld): Promise<LaunchedProgram> {
  const agent = launchAgentProgram(node.configFile);
  await agent.logs("recovery is complete");
  return agent;
}

async function end(agent: LaunchedProgram): Promise<void> {
  agent.kill("SIGKILL");
  await agent.ended;
}

/** What went wrong by the agent's own account. */
function troubleOf(agent: LaunchedProgram): string {
  const lines = agent.log().filter(({ level }) => level !== "info");
  return lines.map((line) => `\n${JSON.stringify(line)}`).join("");
}

async function expectAgreement(world: KillWorld, load: Load, where: string): Promise<Census> {
  const census = await world.census();
  const { links, leases, records, listed } = census;
  expect({ leases, records, listed }, where).toEqual({ leases: links, records: links, listed: links });
  expect(census.unfinished, where).toEqual([]);
  expect(census.hostEnds, where).toBe(census.bridged);
  expect(census.processes, where).toEqual([]);
  expect(wrongRoutes(census), where).toEqual([]);
  const present = new Set(links.map((line) => line.split(" ").slice(0, 2).join(" ")));
  expect(load.settle(present), `${where}: what was answered is so`).toEqual([]);
  return census;
}

/** The default route is that of an attachment that asked for it, or the pod's own when there is none. */
function wrongRoutes({ defaultRoutes, routeTakers }: Census): readonly string[] {
  return Object.entries(defaultRoutes).flatMap(([netns, devs]) => {
    const takers = routeTakers[netns] ?? [];
    const may = takers.length === 0 ? ["eth0"] : takers;
    const isRight = devs.length === 1 && devs.every((dev) => may.includes(dev));
    return isRight ? [] : [`${netns}: default by ${devs.join(", ")} instead of one of ${may.join(", ")}`];
  });
}

async function detachAll(world: KillWorld): Promise<void> {
  await using api = world.client();
  const all = await api.list({}, neverAborted);
  await Promise.all(
    all
      .filter(({ origin }) => origin === "podplug")
      .map(({ attachmentId }) => api.detach({ which: { by: "id", attachmentId } }, neverAborted)),
  );
}
