import { describe, expect, test } from "vitest";
import { createNode, quiet } from "./node.ts";

/** A pod that was created with `networks` while podplug wasn't there, which starts afterwards. */
async function nodeWithColdPlugged(networks: string) {
  const node = await createNode();
  await node.stopController();
  await node.addPod("web", networks);
  await node.coldPlug("web", "net1", "blue");
  await node.coldPlug("web", "ens4", "red");
  await node.startController();
  return node;
}

test("what the pod was created with counts as there, named or not, and nothing changes", async () => {
  const node = await nodeWithColdPlugged("blue,red@ens4");
  expect(node.links("web")).toEqual(["eth0", "net1", "ens4"]);
  expect(node.state("web").status).toEqual(["eth0 cluster", "net1 default/blue", "ens4 default/red"]);
  expect(node.world.executor.runs).toEqual(["ADD net1", "ADD ens4"]);
  expect(node.eventReasons()).toEqual([]);
});

test.each(["", "red@ens4", undefined])(
  "it is unplugged when its selection leaves the annotation (%s), and its status goes",
  async (networks) => {
    const node = await nodeWithColdPlugged("blue,red@ens4");
    await node.setNetworks("web", networks);
    const left = networks ? ["ens4"] : [];
    expect(node.links("web")).toEqual(["eth0", ...left]);
    expect(node.state("web").status).toEqual(["eth0 cluster", ...left.map((name) => `${name} default/red`)]);
    expect(node.state("web").leases).toEqual(left);
  },
);

test("an edit made while the agent was down counts", async () => {
  const node = await nodeWithColdPlugged("blue,red@ens4");
  await node.kill();
  await node.setNetworks("web", "red@ens4");
  await node.restart();
  expect(node.links("web")).toEqual(["eth0", "ens4"]);
});

test("what status shows but no selection ever named is left alone", async () => {
  const node = await nodeWithColdPlugged("red@ens4");
  await node.setNetworks("web", "");
  expect(node.links("web")).toEqual(["eth0", "net1"]);
  expect(node.state("web").status).toEqual(["eth0 cluster", "net1 default/blue"]);
  await node.kill();
  await node.restart();
  expect(node.links("web")).toEqual(["eth0", "net1"]);
});

test("unplugged and plugged again it is podplug's own", async () => {
  const node = await nodeWithColdPlugged("blue@net1,red@ens4");
  await node.setNetworks("web", "red@ens4");
  await node.setNetworks("web", "blue@net1,red@ens4");
  expect(node.links("web")).toEqual(["eth0", "ens4", "net1"]);
  expect(node.state("web").leases).toEqual(["ens4", "net1"]);
  const target = { kind: "pod", pod: { namespace: "default", name: "web" } } as const;
  const listed = await node.world.as("tester").list({ target }, node.world.never);
  expect(listed.map(({ name, origin }) => `${name} ${origin}`)).toEqual([
    "eth0 pod",
    "ens4 pod",
    "net1 podplug",
  ]);
});

test("it is changed in place", async () => {
  const node = await nodeWithColdPlugged("blue@net1,red@ens4");
  await node.setNetworks("web", "green@net1,red@ens4");
  expect(node.state("web").status).toEqual(["eth0 cluster", "net1 default/green", "ens4 default/red"]);
  expect(node.world.executor.runs).toEqual(["ADD net1", "ADD ens4", "DEL net1", "ADD net1"]);
});

test("another network asked for under its name before podplug ever saw it is refused, and it stays", async () => {
  const node = await nodeWithColdPlugged("green@net1");
  expect(node.links("web")).toEqual(["eth0", "net1", "ens4"]);
  expect(node.eventReasons()).toContain("InterfaceAddRejected");
});

describe("what kactus plugged", () => {
  const dataName = "net8d777f385d3d";

  async function nodeWithData(networks: string) {
    const node = await createNode();
    node.world.networks.define("data", { namespace: "default" });
    await node.stopController();
    await node.addPod("web", undefined, { annotations: { networks } });
    await node.coldPlugByKactus("web", dataName, "data");
    await node.startController();
    return node;
  }

  test("is known by its name alone, stays as it is, and has its status from then on", async () => {
    const node = await nodeWithData('[{"name":"data"}]');
    expect(node.links("web")).toEqual(["eth0", dataName]);
    expect(node.world.executor.runs).toEqual([`ADD ${dataName}`]);
    expect(node.statusOf("web")).toContainEqual(
      expect.objectContaining({ name: "default/data", interface: dataName, ips: ["10.9.0.2"] }),
    );
    expect(node.eventReasons()).toEqual([]);
  });

  test("is unplugged when it leaves the annotation, and nothing of it stays", async () => {
    const node = await nodeWithData('[{"name":"data"}]');
    node.cluster.annotate("default/web", { networks: "[]" });
    await quiet();
    expect(node.links("web")).toEqual(["eth0"]);
    expect(node.state("web")).toMatchObject({ leases: [], status: ["eth0 cluster"] });
  });

  test.each(['[{"name":"data","podagentSkip":true}]', '[{"name":"data","isPrimary":true}]', "[]"])(
    "is left alone where the annotation doesn't ask podplug for it: %s",
    async (networks) => {
      const node = await nodeWithData(networks);
      node.cluster.annotate("default/web", { networks: undefined });
      await quiet();
      expect(node.links("web")).toEqual(["eth0", dataName]);
    },
  );

  test("a link of that name that no cache tells of stays too, and nothing is plugged over it", async () => {
    const node = await createNode();
    node.world.networks.define("data", { namespace: "default" });
    await node.stopController();
    await node.addPod("web", undefined, { annotations: { networks: '[{"name":"data"}]' } });
    node.world.interfaces.addLink(node.netnsPath("web"), { name: dataName });
    await node.startController();
    node.cluster.annotate("default/web", { networks: "[]" });
    await quiet();
    expect(node.links("web")).toEqual(["eth0", dataName]);
    expect(node.world.executor.runs).toEqual([]);
  });
});
