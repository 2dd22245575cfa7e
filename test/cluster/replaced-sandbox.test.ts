import { beforeAll, expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { eventually, run, useCluster } from "./support/cluster.ts";
import { makePlugWorld, type PlugPod, type PlugWorld } from "./support/plug-world.ts";
import { podSandbox } from "./support/pods.ts";

/*
 * A pod outlives its sandbox: when that dies, kubelet makes another one and
 * starts the containers in it anew.
 */

const cluster = useCluster();
let world: PlugWorld;

beforeAll(async () => {
  world = await makePlugWorld(cluster);
  for (const network of ["blue", "red"]) await world.define(network);
  return () => world[Symbol.asyncDispose]();
});

/** Ends its sandbox as a crash does, and resolves once the pod has another one. */
async function crash({ pod, sandbox }: PlugPod): Promise<PlugPod> {
  await run("ctr", ["-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", sandbox.id]);
  await eventually("the pod has another sandbox", async () => {
    const next = await podSandbox(pod);
    return next.id !== sandbox.id || undefined;
  });
  return await world.findPod(pod.metadata.name);
}

test("it gets the annotation's networks and an orchestrator's again, under their names, and nothing else stays", async () => {
  const before = await world.startPod("crashing");
  await before.networks("blue");
  await before.holds(["net1 blue"]);
  const target = { kind: "pod", pod: { namespace: world.namespace.name, name: "crashing" } } as const;
  const byOrchestrator = { target, network: { name: "red", interface: "data0" } };
  const attached = await world.agent.client.attach(byOrchestrator, neverAborted);
  await before.holds(["net1 blue", "data0 red"]);

  const after = await crash(before);
  await after.holds(["net1 blue", "data0 red"]);
  await before.isForgotten();
  const again = await world.agent.client.attach(byOrchestrator, neverAborted);
  expect(again).toMatchObject({ created: false, interface: { owner: attached.interface.owner } });
  expect(again.interface.sandboxId).not.toBe(attached.interface.sandboxId);
});

test("also when the agent is away meanwhile", async () => {
  const before = await world.startPod("unseen");
  await before.networks("blue");
  const target = { kind: "pod", pod: { namespace: world.namespace.name, name: "unseen" } } as const;
  await world.agent.client.attach({ target, network: { name: "red", interface: "data0" } }, neverAborted);
  await before.holds(["net1 blue", "data0 red"]);
  await world.kill();
  const after = await crash(before);
  await world.agent.start();
  await after.holds(["net1 blue", "data0 red"]);
  await before.isForgotten();
});
