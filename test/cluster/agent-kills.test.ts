import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { launchAgentProgram } from "../agent/agent-program.ts";
import { createRandom } from "../support/random.ts";
import { useCluster } from "./support/cluster.ts";
import { makePlugWorld, networksAnnotation, type PlugWorld } from "./support/plug-world.ts";

const cluster = useCluster();
const kills = Number(process.env["PODPLUG_KILLS"] ?? 25);
const seed = Number(process.env["PODPLUG_SEED"] ?? Date.now() % 1_000_000);
let world: PlugWorld;

beforeAll(async () => {
  world = await makePlugWorld(cluster);
  for (const network of ["blue", "red", "green"]) await world.define(network);
  return () => world[Symbol.asyncDispose]();
});

test("a pod created with an annotation is plugged as soon as it runs", async () => {
  const pod = await world.startPod("born", { [networksAnnotation]: "blue@net1,red@data0" });
  await pod.holds(["net1 blue", "data0 red"]);
  await pod.networks(undefined);
  await pod.holds([]);
});

test("pods that come and go while the agent is down are caught up", async () => {
  const [gone, changed] = [await world.startPod("gone"), await world.startPod("changed")];
  for (const pod of [gone, changed]) await pod.networks("blue@net1");
  for (const pod of [gone, changed]) await pod.holds(["net1 blue"]);
  await world.kill();
  await cluster.kubectl(
    "-n",
    world.namespace.name,
    "delete",
    "pod",
    gone.name,
    "--grace-period=0",
    "--force",
  );
  const born = await world.startPod("born-meanwhile", { [networksAnnotation]: "red@net1" });
  await changed.networks(undefined);
  await world.agent.start();
  await born.holds(["net1 red"]);
  await changed.holds([]);
  await gone.isForgotten();
  await born.networks(undefined);
  await born.holds([]);
});

test("thirty changes under an agent that is killed again and again end as the last one says", async () => {
  const pods = [await world.startPod("flipped"), await world.startPod("flipped-too")];
  const wishes = ["blue@net1", undefined, "red@net1,green@net2", "green@net2", "blue,red@net5", "red,red"];
  for (let turn = 0; turn < 30; turn += 1) {
    const pod = pods[turn % pods.length];
    await pod?.networks(wishes[Math.floor(turn / pods.length) % wishes.length]);
    if (turn % 2 === 0) continue;
    // Spread, so that kills hit every part of what a change or a recovery is made of.
    await delay((turn * 89) % 310);
    await world.kill();
    await world.agent.start();
  }
  for (const pod of pods) await pod.networks("red@net1,blue@net2");
  for (const pod of pods) await pod.holds(["net1 red", "net2 blue"]);
  expect(await world.nodeLinks()).toHaveLength(4);
  for (const pod of pods) await pod.networks(undefined);
  for (const pod of pods) await pod.holds([]);
  expect(await world.nodeLinks()).toEqual([]);
});

test(`${kills} kills at random instants while annotations change leave links, leases, records and status agreeing (seed ${seed})`, {
  timeout: 60_000 + kills * 20_000,
}, async () => {
  console.log(`random kills on a cluster: seed ${seed}`);
  const random = createRandom(seed);
  const pods = await Promise.all(["r0", "r1", "r2"].map((name) => world.startPod(name)));
  const wishes = [
    undefined,
    "blue@net1",
    "red@net1,green@net2",
    "green@net2",
    "blue,red@net5",
    "red,red",
  ] as const;
  for (let kill = 1; kill <= kills; kill += 1) {
    const round = random.fork(`round ${kill}`);
    for (const pod of pods) await pod.networks(round.of(wishes));
    await delay(round.below(400));
    await world.kill();
    if (round.chance(0.25)) {
      // Dies in the middle of its recovery too.
      const next = launchAgentProgram(world.agent.configFile);
      await delay(round.below(600));
      next.kill("SIGKILL");
      await next.ended;
    }
    await world.agent.start();
    if (kill % 5 !== 0) continue;
    for (const pod of pods) await pod.networks("red@net1,blue@net2");
    for (const pod of pods) await pod.holds(["net1 red", "net2 blue"]);
    expect(await world.nodeLinks()).toHaveLength(2 * pods.length);
  }
  for (const pod of pods) await pod.networks(undefined);
  for (const pod of pods) await pod.holds([]);
  expect(await world.nodeLinks()).toEqual([]);
});
