import { afterEach, beforeEach, expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { makePodNode, type NodePod, type PodNode } from "./pod-node.ts";

/** The longest pause before a pod's work is tried again, and time to plug. */
const caughtUpMs = 30_000 + 60_000;

let world: PodNode;
let web: NodePod;
beforeEach(async () => {
  world = await makePodNode();
  web = await world.startPod("web", "blue@net1");
  await web.holds(["net1 blue"]);
});
afterEach(() => world[Symbol.asyncDispose]());

const attachRed = (pod: NodePod) =>
  world.client.attach({ target: pod.target, network: { name: "red", interface: "net2" } }, neverAborted);

test("while the runtime is away pods keep what they have, and edits and ends are caught up", {
  timeout: 60_000 + 2 * caughtUpMs,
}, async () => {
  const ended = await world.startPod("ended", "blue@net1");
  await ended.holds(["net1 blue"]);
  // Nobody has asked for this one yet: of the others the agent knows where they are.
  const unknown = await world.startPod("unknown");
  await world.runtime.goAway();
  await expect(attachRed(unknown)).rejects.toEqual(failure("UNREACHABLE", world.runtime.socketPath));
  web.networks("blue@net1,red@net2");
  const born = await world.startPod("born", "red@net1");
  await ended.end();
  expect(await born.links()).toEqual([]);

  await world.runtime.comeBack();
  await web.holds(["net1 blue", "net2 red"], caughtUpMs);
  await born.holds(["net1 red"], caughtUpMs);
  await ended.isForgotten(caughtUpMs);
});

test("a runtime that says nothing is told after a deadline, what is known by its ID is detached meanwhile, and all is caught up", {
  timeout: 60_000 + 2 * caughtUpMs,
}, async () => {
  const { interface: red } = await attachRed(web);
  const unknown = await world.startPod("unknown");
  world.runtime.hang(true);
  const asking = attachRed(unknown).catch((error: unknown) => error);
  web.networks(undefined);
  const which = { by: "id", attachmentId: red.attachmentId } as const;
  expect(await world.client.detach({ which }, neverAborted)).toMatchObject({ detached: true });
  expect(await asking).toEqual(failure("UNREACHABLE", world.runtime.socketPath));
  world.runtime.hang(false);
  await web.holds([], caughtUpMs);
});

test("an agent that starts while the runtime says nothing of one sandbox serves all others at once", {
  timeout: 60_000 + caughtUpMs,
}, async () => {
  const stuck = await world.startPod("stuck", "blue@net1");
  const ended = await world.startPod("ended", "blue@net1");
  for (const pod of [stuck, ended]) await pod.holds(["net1 blue"]);
  await world.kill();
  world.runtime.troubleStatusOf({ namespace: "demo", name: "stuck" }, "silence");
  stuck.networks("blue@net1,red@net2");
  web.networks("blue@net1,red@net2");
  await ended.end();
  await world.start();
  // The runtime's deadline for one answer is ten.
  await web.holds(["net1 blue", "net2 red"], 8_000);
  await ended.isForgotten(8_000);
  expect(await world.client.list({}, neverAborted)).toContainEqual(
    expect.objectContaining({ name: "net1", pod: expect.objectContaining({ name: "stuck" }) }),
  );
  world.runtime.troubleStatusOf({ namespace: "demo", name: "stuck" }, undefined);
  await stuck.holds(["net1 blue", "net2 red"], caughtUpMs);
});

test("with a runtime that answers slowly every pod gets its networks, side by side", {
  timeout: 60_000 + caughtUpMs,
}, async () => {
  const pods = await Promise.all(Array.from({ length: 12 }, (_, index) => world.startPod(`slow-${index}`)));
  world.runtime.delay(1_000);
  for (const pod of pods) pod.networks("blue@net1,red@net2");
  for (const pod of pods) await pod.holds(["net1 blue", "net2 red"], caughtUpMs);
  console.log(`12 pods on a slow runtime: it was asked ${world.runtime.mostWaiting} questions at once`);
  expect(world.runtime.mostWaiting).toBeGreaterThanOrEqual(4);
});
