import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { eventually } from "../server/eventually.ts";
import { residentMb } from "../support/process-facts.ts";
import { makePodNode } from "./pod-node.ts";

const wishes = ["blue@net1", undefined, "red@net1", "red@net1,blue@net2", "blue@net2", "blue,red"] as const;

test("a thousand quick flips of one annotation end as the last one says, and hold up no other pod", async () => {
  await using world = await makePodNode();
  const flipped = await world.startPod("flipped", "blue@net1");
  const calm = await world.startPod("calm", "blue@net1");
  for (const pod of [flipped, calm]) await pod.holds(["net1 blue"]);
  const before = await residentMb(world.agent.pid);

  const flip = async (): Promise<void> => {
    for (let count = 0; count < 1_000; count += 1) {
      flipped.networks(wishes[count % wishes.length]);
      await turn();
    }
    flipped.networks("red@net1,blue@net2");
    await flipped.holds(["net1 red", "net2 blue"]);
  };
  const carryOn = async (): Promise<void> => {
    calm.networks("blue@net1,red@net2");
    await calm.holds(["net1 blue", "net2 red"]);
    calm.networks("red@net2");
    await calm.holds(["net2 red"]);
  };
  await Promise.all([carryOn(), flip()]);
  flipped.networks(undefined);
  await flipped.holds([]);

  await eventually(async () => (await residentMb(world.agent.pid)) - before < 100, "no memory is left");
  expect(await world.node.leases()).toHaveLength(1);
  expect(await world.node.hostEnds()).toHaveLength(1);
  expect(await findMarkedProcesses(await world.node.markerPrefix())).toEqual([]);
  expect(world.agent.log().filter(({ level }) => level === "error")).toEqual([]);
});
