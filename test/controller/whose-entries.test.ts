import { describe, expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { networkStatusAnnotation } from "../../src/kube/contract.ts";
import { createNode, quiet } from "./node.ts";

const target = { kind: "pod", pod: { namespace: "default", name: "web" } } as const;
const kubeVirt = { labels: { "kubevirt.io": "virt-launcher" } };
const device = {
  name: "default/vf",
  interface: "net9",
  dns: {},
  "device-info": { type: "memif", version: "1.1.0" },
};
const linkless = { name: "default/passt", interface: "pod1a2b3c", dns: {} };

async function createNodeWithDevices() {
  const node = await createNode();
  node.world.networks.define("vf", { namespace: "default", config: { plugins: [{ type: "device" }] } });
  return node;
}

function withStatus(...entries: readonly object[]) {
  return { annotations: { [networkStatusAnnotation]: JSON.stringify(entries) } };
}

describe("an entry of somebody else's without a link", () => {
  test.each([
    ["with a device", {}, device],
    ["on a pod that KubeVirt runs", kubeVirt, linkless],
  ])("%s stays for ever, however often the status is written", async (_where, facts, theirs) => {
    const node = await createNode();
    await node.addPod("web", "", { ...facts, ...withStatus(theirs) });
    for (const networks of ["blue@ens1", "blue@ens1,red@ens2", "red@ens2", ""]) {
      await node.setNetworks("web", networks);
      await node.clock.advance(600_000);
      expect(node.statusOf("web")).toContainEqual(theirs);
    }
    expect(node.state("web").status).toEqual(["eth0 cluster", `${theirs.interface} ${theirs.name}`]);
    await node.kill();
    await node.restart();
    expect(node.statusOf("web")).toContainEqual(theirs);
  });

  test("stays under a name that was ours, once our own entry had gone", async () => {
    const node = await createNode();
    await node.addPod("web", "blue@net9");
    await node.setNetworks("web", "");
    node.cluster.annotate("default/web", withStatus(device).annotations);
    await quiet();
    await node.setNetworks("web", "red@net1");
    expect(node.statusOf("web")).toContainEqual(device);
  });

  test("stays in a new sandbox that another plugged it into, under a name that was ours in the one before", async () => {
    const node = await createNodeWithDevices();
    await node.addPod("web", "vf@net9");
    await node.replaceSandbox("web");
    node.cluster.annotate("default/web", withStatus(device).annotations);
    await quiet();
    await node.clock.advance(600_000);
    expect(node.statusOf("web")).toEqual([device]);
    expect(node.world.executor.runs.filter((run) => run.startsWith("ADD"))).toEqual(["ADD net9"]);
  });

  test("stays on a pod whose predecessor of that name had one of ours", async () => {
    const node = await createNodeWithDevices();
    await node.addPod("web", "vf@net9");
    node.cluster.removePod("default/web");
    node.world.sandboxes.removePod({ namespace: "default", name: "web" });
    await node.world.engine.sweep();
    await node.addPod("web", "", withStatus(device));
    expect(node.statusOf("web")).toEqual([device]);
    await node.setNetworks("web", "blue@net1");
    expect(node.statusOf("web")).toContainEqual(device);
  });
});

describe("our entry goes with its attachment", () => {
  test("and its sandbox: a device follows the pod into the next one", async () => {
    const node = await createNodeWithDevices();
    await node.addPod("web", "vf@net1");
    await node.replaceSandbox("web");
    node.cluster.annotate("default/web", { touched: "by kubelet" });
    await quiet();
    await node.clock.advance(600_000);
    expect(node.world.executor.runs.filter((run) => run.startsWith("ADD"))).toEqual(["ADD net1", "ADD net1"]);
    expect(node.state("web").status).toEqual(["eth0 cluster", "net1 default/vf"]);
    await node.replaceSandbox("web");
    await node.setNetworks("web", "");
    await node.clock.advance(600_000);
    expect(node.state("web")).toMatchObject({ status: ["eth0 cluster"], leases: [] });
  });

  test.each([
    ["a device without a link", "vf@net1", {}],
    ["one of a pod that KubeVirt runs", "blue@pod1a2b3c", kubeVirt],
    ["a device of a pod that KubeVirt runs", "vf@pod1a2b3c", kubeVirt],
  ])("also after a restart that found nothing to write: %s", async (_what, networks, facts) => {
    const node = await createNodeWithDevices();
    await node.addPod("web", networks, facts);
    expect(node.state("web").status).toHaveLength(2);
    await node.kill();
    await node.restart();
    await node.setNetworks("web", "");
    expect(node.state("web").status).toEqual(["eth0 cluster"]);
  });

  test.each([
    ["a device without a link", "vf@net1", {}],
    ["one of a pod that KubeVirt runs", "blue@pod1a2b3c", kubeVirt],
  ])("also when its selection left while nobody looked: %s", async (_what, networks, facts) => {
    const node = await createNodeWithDevices();
    await node.addPod("web", networks, facts);
    await node.kill();
    await node.setNetworks("web", "");
    await node.restart();
    expect(node.state("web").status).toEqual(["eth0 cluster"]);
  });

  test.each([
    ["a device without a link", "vf@net1", {}],
    ["one of a pod that KubeVirt runs", "blue@pod1a2b3c", kubeVirt],
  ])("also when the agent was killed during its DEL: %s", async (_what, networks, facts) => {
    const node = await createNodeWithDevices();
    await node.addPod("web", networks, facts);
    node.world.executor.holdOn("del", new Promise(() => undefined));
    await node.setNetworks("web", "");
    await node.kill();
    node.world.executor.holdOn("del", undefined);
    await node.restart();
    expect(node.state("web")).toMatchObject({ status: ["eth0 cluster"], leases: [] });
  });

  test("also when it was cold-plugged into a pod that KubeVirt runs", async () => {
    const node = await createNode();
    await node.stopController();
    await node.addPod("web", "blue@pod1a2b3c", kubeVirt);
    await node.coldPlug("web", "pod1a2b3c", "blue");
    await node.startController();
    expect(node.state("web").status).toEqual(["eth0 cluster", "pod1a2b3c default/blue"]);
    await node.setNetworks("web", "");
    expect(node.state("web").status).toEqual(["eth0 cluster"]);
  });

  test("also when KubeVirt left a dummy under its name", async () => {
    const node = await createNode();
    await node.addPod("web", "blue@pod1a2b3c", kubeVirt);
    const netnsPath = node.netnsPath("web");
    node.world.interfaces.changeLink(netnsPath, "pod1a2b3c", { name: "1a2b3c-nic" });
    node.world.interfaces.addLink(netnsPath, { name: "pod1a2b3c" });
    await quiet();
    expect(node.state("web").status).toEqual(["eth0 cluster", "pod1a2b3c default/blue"]);
    node.world.interfaces.removeLink(netnsPath, "1a2b3c-nic");
    await node.setNetworks("web", "");
    expect(node.links("web")).toEqual(["eth0", "pod1a2b3c"]);
    expect(node.state("web").status).toEqual(["eth0 cluster"]);
  });

  test("also when it went while the controller couldn't reach the API", async () => {
    const node = await createNode();
    await node.addPod("web", "", kubeVirt);
    const orchestrator = node.world.as("orchestrator");
    await orchestrator.attach({ target, network: { name: "blue", interface: "ens7" } }, neverAborted);
    await quiet();
    expect(node.state("web").status).toEqual(["eth0 cluster", "ens7 default/blue"]);
    node.apiAway(new PodplugError("UNREACHABLE", "the agent is away"));
    await node.world.engine.drain();
    await node.world.restart();
    await node.world
      .as("orchestrator")
      .detach({ target, which: { by: "interface", interface: "ens7" } }, neverAborted);
    node.apiAway(undefined);
    await node.clock.advance(60_000);
    node.cluster.annotate("default/web", { touched: "by kubelet" });
    await quiet();
    expect(node.state("web").status).toEqual(["eth0 cluster"]);
  });

  test("also while the API server was away", async () => {
    const node = await createNodeWithDevices();
    await node.addPod("web", "vf@net1");
    node.cluster.failWith(new PodplugError("UNREACHABLE", "the API server is away"));
    await node.setNetworks("web", "");
    expect(node.state("web").status).toHaveLength(2);
    node.cluster.failWith(undefined);
    await node.clock.advance(60_000);
    expect(node.state("web").status).toEqual(["eth0 cluster"]);
  });
});
