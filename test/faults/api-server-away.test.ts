import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { residentMb } from "../support/process-facts.ts";
import { makePodNode, type PodNode } from "./pod-node.ts";

/** A minute in make test-faults. */
const outageMs = Number(process.env["PODPLUG_OUTAGE_MS"] ?? 3_000);
/** The longest pause between two tries to follow the API server, and time to plug. */
const caughtUpMs = 30_000 + 60_000;

let world: PodNode;
beforeEach(async () => {
  world = await makePodNode();
});
afterEach(() => world[Symbol.asyncDispose]());

test("while the API server is away pods keep what they have, the node's API goes on, and edits are caught up", {
  timeout: 60_000 + outageMs + 2 * caughtUpMs,
}, async () => {
  const { api, client, agent } = world;
  const [web, ended] = [await world.startPod("web", "blue@net1"), await world.startPod("ended", "blue@net1")];
  for (const pod of [web, ended]) await pod.holds(["net1 blue"]);
  const before = await residentMb(agent.pid);

  await api.goAway();
  const gone = sleep(outageMs);
  // A definition that was read before serves on; one that wasn't can't be known.
  const blue = { target: web.target, network: { name: "blue", interface: "net9" } };
  expect(await client.attach(blue, neverAborted)).toMatchObject({ created: true });
  await expect(client.attach({ target: web.target, network: { name: "red" } }, neverAborted)).rejects.toEqual(
    failure("UNREACHABLE", "NetworkAttachmentDefinition demo/red"),
  );
  await client.detach({ target: web.target, which: { by: "interface", interface: "net9" } }, neverAborted);
  web.networks("blue@net1,red@net2");
  const born = await world.startPod("born", "red@net1");
  await ended.end();
  await gone;
  // What the kernel tells needs no API server.
  await ended.isForgotten();
  await web.has(["net1"]);
  expect(await born.links()).toEqual([]);

  await api.comeBack();
  await web.holds(["net1 blue", "net2 red"], caughtUpMs);
  await born.holds(["net1 red"], caughtUpMs);
  const told = agent.log().map(({ message }) => message);
  expect(told.filter((message) => message === "can't follow the API server; trying again")).toHaveLength(1);
  await agent.logs("following the API server again");
  await eventually(async () => (await residentMb(agent.pid)) - before < 60, "no memory is left");
  expect(await findMarkedProcesses(await world.node.markerPrefix())).toEqual([]);
});

test("an agent that starts while the API server is away recovers and serves, and catches up when it is back", {
  timeout: 60_000 + caughtUpMs,
}, async () => {
  const { api, client } = world;
  const web = await world.startPod("web", "blue@net1,red@net2");
  await web.holds(["net1 blue", "net2 red"]);
  await world.kill();
  await api.goAway();
  await world.start();
  await web.has(["net1", "net2"]);
  const listed = await client.list({ target: web.target }, neverAborted);
  expect(listed.map(({ name, state }) => `${name} ${state}`)).toContain("net1 attached");
  web.networks("red@net2");
  await eventually(
    () => world.agent.log().some(({ message }) => message.startsWith("can't follow")),
    "it has noticed",
  );
  await web.has(["net1", "net2"]);
  await api.comeBack();
  await web.holds(["net2 red"], caughtUpMs);
});
