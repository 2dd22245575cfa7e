import { expect, test } from "vitest";
import type { CacheEntry } from "../../src/cni/cache.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createWorld } from "./world.ts";

const web = { namespace: "demo", name: "web" };
const target = { kind: "pod", pod: web } as const;
const network = { name: "blue", interface: "net1" };
const request = { target, network, owner: "annotation/npwg", key: "demo/blue#1", adopt: true } as const;
const byInterface = { by: "interface", interface: "net1" } as const;

/** A pod that a meta plugin gave network blue as net1 when it was created. */
async function worldWithColdPlugged(change: Partial<CacheEntry> = {}) {
  const world = await createWorld();
  const sandbox = await world.sandboxes.addPod(web);
  const entry = {
    kind: "cniCacheV1",
    containerId: sandbox.id,
    ifName: "net1",
    networkName: "blue",
    netnsPath: sandbox.netnsPath,
    config: '{"cniVersion":"1.0.0","name":"blue","type":"fake"}',
    cniArgs: [],
    capabilityArgs: {},
  } as const;
  const result = await world.executor.add({ ...entry, executor: "direct" }, neverAborted);
  world.executor.runs.length = 0;
  world.cached.put({ ...entry, result, ...change });
  return { world, sandbox, controller: world.as("controller", true) };
}

test("what the pod was created with is taken over as it is, and no plugin runs", async () => {
  const { world, controller } = await worldWithColdPlugged();
  const answer = await controller.attach(request, neverAborted);
  expect(answer).toMatchObject({
    created: false,
    interface: { name: "net1", network: "demo/blue", origin: "pod", state: "attached", selection: network },
  });
  expect(await controller.list({ target }, neverAborted)).toContainEqual(answer.interface);
  expect(world.executor.runs).toEqual([]);
  expect(await world.states()).toEqual(["net1 attached"]);
  expect(await controller.attach(request, neverAborted)).toEqual(answer);
});

test("it is unplugged by the meta plugin's own configuration, also after a restart", async () => {
  const { world, controller } = await worldWithColdPlugged();
  await controller.attach(request, neverAborted);
  await world.restart();
  world.networks.remove("blue");
  expect(
    await world.as("controller", true).detach({ target, which: byInterface }, neverAborted),
  ).toMatchObject({
    detached: true,
  });
  expect(world.linkNames((await world.sandboxes.locate(target, neverAborted)).netnsPath)).toEqual(["eth0"]);
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});

test("it is changed in place like any other, and is podplug's from then on", async () => {
  const { world, controller } = await worldWithColdPlugged();
  await controller.attach(request, neverAborted);
  const replacement = { ...request, adopt: false, network: { ...network, name: "green" }, replace: true };
  expect(await controller.attach(replacement, neverAborted)).toMatchObject({
    created: true,
    interface: { name: "net1", origin: "podplug" },
  });
  expect(world.executor.runs).toEqual(["DEL net1", "ADD net1"]);
});

test("it goes with its pod, and no address stays leased", async () => {
  const { world, controller } = await worldWithColdPlugged();
  await controller.attach(request, neverAborted);
  world.sandboxes.removePod(web);
  await world.engine.sweep();
  expect(await world.states()).toEqual([]);
  expect(world.executor.leases()).toEqual([]);
});

test("a dry run says what would be, and takes over nothing", async () => {
  const { world, controller } = await worldWithColdPlugged();
  await controller.attach({ ...request, validateOnly: true }, neverAborted);
  expect(await world.states()).toEqual([]);
});

test("only a reconciler takes over", async () => {
  const { world } = await worldWithColdPlugged();
  const asked = { target, network, adopt: true };
  await expect(world.as("tester").attach(asked, neverAborted)).rejects.toMatchObject({ reason: "DENIED" });
  expect(await world.states()).toEqual([]);
});

test("others may remove it only by force", async () => {
  const { world, controller } = await worldWithColdPlugged();
  await controller.attach(request, neverAborted);
  const detach = { target, which: byInterface };
  await expect(world.as("tester").detach(detach, neverAborted)).rejects.toMatchObject({
    reason: "OWNED_BY_OTHER",
  });
  expect(await world.as("tester").detach({ ...detach, force: true }, neverAborted)).toMatchObject({
    detached: true,
  });
});

test.each<[string, Partial<CacheEntry>]>([
  ["of which no cache tells", { containerId: "another" }],
  [
    "that was plugged with another hardware address",
    {
      result: {
        cniVersion: "1.0.0",
        interfaces: [{ name: "net1", mac: "02:00:00:00:00:99", sandbox: "/x" }],
      },
    },
  ],
  ["whose configuration DEL can't run with", { config: "{" }],
  ["whose result can't be read", { result: { cniVersion: "9.9.9" } }],
])("an interface %s stays the pod's own", async (_what, change) => {
  const { world, controller } = await worldWithColdPlugged(change);
  await expect(controller.attach(request, neverAborted)).rejects.toMatchObject({ reason: "NOT_ADOPTABLE" });
  expect(await world.states()).toEqual([]);
});

test.each<[string, Partial<CacheEntry>]>([
  ["is the interface of the pod's own network", { ifName: "eth0" }],
  ["is of the cluster's own network", { networkName: "cluster" }],
  ["is of another network than the selection's", { networkName: "green" }],
])("what %s stays the pod's own, whatever the pod's annotations say", async (_what, change) => {
  const { world, controller } = await worldWithColdPlugged(change);
  const ifName = change.ifName ?? "net1";
  const asked = { ...request, network: { ...network, interface: ifName } };
  await expect(controller.attach(asked, neverAborted)).rejects.toMatchObject({ reason: "NOT_ADOPTABLE" });
  expect(await world.states()).toEqual([]);
});

test("a network's CNI name may differ from its definition's, and the definition may be gone by now", async () => {
  const { controller, world } = await worldWithColdPlugged({ networkName: "vlan-7" });
  world.networks.define("blue", { config: { name: "vlan-7" } });
  expect(await controller.attach({ ...request, validateOnly: true }, neverAborted)).toMatchObject({
    interface: { name: "net1" },
  });
  world.networks.remove("blue");
  expect(await controller.attach(request, neverAborted)).toMatchObject({ interface: { name: "net1" } });
});

test("while definitions can't be read, nothing is taken over yet", async () => {
  const { controller, world } = await worldWithColdPlugged();
  world.networks.failWith(new PodplugError("UNREACHABLE", "the API server is away"));
  await expect(controller.attach(request, neverAborted)).rejects.toMatchObject({ reason: "UNREACHABLE" });
  world.networks.failWith(undefined);
  expect(await controller.attach(request, neverAborted)).toMatchObject({ interface: { name: "net1" } });
});

test("a link that only took over the name or the hardware address isn't the one", async () => {
  const { world, sandbox, controller } = await worldWithColdPlugged();
  const { mac } = world.interfaces.links(sandbox.netnsPath).find(({ name }) => name === "net1") ?? {
    mac: "",
  };
  world.interfaces.addLink(sandbox.netnsPath, { name: "dummy", mac });
  await expect(controller.attach(request, neverAborted)).rejects.toMatchObject({ reason: "NOT_ADOPTABLE" });
  world.interfaces.removeLink(sandbox.netnsPath, "net1");
  await expect(controller.attach(request, neverAborted)).rejects.toMatchObject({ reason: "NOT_ADOPTABLE" });
});

test("of what kactus keeps there is no answer of ADD: the link counts by its name, and isn't checked", async () => {
  const { world, controller, sandbox } = await worldWithColdPlugged({ kind: "kactus", result: undefined });
  const answer = await controller.attach(request, neverAborted);
  expect(answer).toMatchObject({ created: false, interface: { name: "net1", state: "attached" } });
  await controller.check({ target, interface: "net1" }, neverAborted);
  expect(world.executor.runs).toEqual([]);
  await world.restart();
  const again = world.as("controller", true);
  world.interfaces.removeLink(sandbox.netnsPath, "net1");
  await expect(again.check({ target, interface: "net1" }, neverAborted)).rejects.toMatchObject({
    reason: "CHECK_FAILED",
  });
  await again.detach({ target, which: byInterface }, neverAborted);
  expect(world.executor.leases()).toEqual([]);
  expect(await world.states()).toEqual([]);
});
