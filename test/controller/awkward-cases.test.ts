import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { networkStatusAnnotation } from "../../src/kube/contract.ts";
import { createNode, networksAnnotation, quiet } from "./node.ts";

/** The named attachments, each with its link, status entry and lease, and nothing else. */
function whole(...attachments: readonly string[]) {
  const names = attachments.map((each) => each.split(" ")[0] ?? "");
  return { links: ["eth0", ...names], status: ["eth0 cluster", ...attachments], leases: names.toSorted() };
}

test("an annotation that changes while the agent is down is caught up", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1,red@net2");
  const address = node.ipOf("web", "net2");
  await node.kill();
  await node.setNetworks("web", "red@net2,green@net3");
  expect(node.links("web")).toEqual(["eth0", "net1", "net2"]);
  await node.restart();
  expect(node.state("web")).toEqual(whole("net2 default/red", "net3 default/green"));
  expect(node.ipOf("web", "net2")).toEqual(address);
});

test("a network whose definition was deleted is removed from the pod all the same", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1");
  node.world.networks.remove("blue", { namespace: "default" });
  await node.setNetworks("web", "");
  expect(node.state("web")).toEqual(whole());
});

test("a definition that is created later is found without anybody touching the pod", async () => {
  const node = await createNode();
  await node.addPod("web", "later@net1");
  expect(node.state("web")).toEqual({ links: ["eth0"], status: [], leases: [] });
  expect(node.events()).toContainEqual(expect.stringMatching(/^FailedAddingInterface: .*NETWORK_NOT_FOUND/));
  await node.clock.advance(3_600_000);
  node.world.networks.define("later", { namespace: "default" });
  await node.clock.advance(30_000);
  expect(node.state("web")).toEqual(whole("net1 default/later"));
});

test("a definition that is corrected later is found too", async () => {
  const node = await createNode();
  node.world.networks.breakNetwork("broken", { namespace: "default" });
  await node.addPod("web", "broken@net1");
  await node.clock.advance(600_000);
  expect(node.links("web")).toEqual(["eth0"]);
  node.world.networks.define("broken", { namespace: "default" });
  await node.clock.advance(60_000);
  expect(node.state("web")).toEqual(whole("net1 default/broken"));
});

test.each(["blue", '[{"name":"blue"}]', "default/blue"])(
  "the unnamed selection %s is plugged under a name that stays, and is unplugged",
  async (networks) => {
    const node = await createNode();
    await node.addPod("web", networks);
    expect(node.state("web")).toEqual(whole("net1 default/blue"));
    await node.setNetworks("web", `red@net9,${networks.startsWith("[") ? "blue" : networks}`);
    expect(node.state("web")).toEqual(whole("net1 default/blue", "net9 default/red"));
    await node.setNetworks("web", "red@net9");
    expect(node.state("web")).toEqual(whole("net9 default/red"));
    expect(node.world.executor.runs).toEqual(["ADD net1", "ADD net9", "DEL net1"]);
  },
);

test("a malformed annotation changes nothing and says why once, and is taken up when corrected", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1");
  await node.setNetworks("web", '[{"name":"red","mac":"nonsense"}]');
  node.cluster.annotate("default/web", { touched: "again" });
  await quiet();
  expect(node.state("web")).toEqual(whole("net1 default/blue"));
  const rejections = node.events().filter((event) => event.startsWith("InterfaceAddRejected"));
  expect(rejections).toEqual([expect.stringContaining("mac")]);
  await node.setNetworks("web", "red@net2");
  expect(node.state("web")).toEqual(whole("net2 default/red"));
});

test("the same network twice, with names and without", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net5,blue@net6");
  expect(node.state("web")).toEqual(whole("net5 default/blue", "net6 default/blue"));
  await node.setNetworks("web", "blue@net6");
  expect(node.state("web")).toEqual(whole("net6 default/blue"));
  await node.setNetworks("web", "blue@net6,blue,blue");
  expect(node.state("web")).toEqual(whole("net6 default/blue", "net1 default/blue", "net2 default/blue"));
  await node.setNetworks("web", "blue");
  expect(node.links("web")).toHaveLength(2);
  await node.setNetworks("web", "");
  expect(node.state("web")).toEqual(whole());
});

test("a definition whose subnet doesn't hold the default route's gateway is tried again once it was corrected", async () => {
  const node = await createNode();
  const define = (subnet: string): void => {
    const config = { plugins: [{ type: "fake", subnet }] };
    node.world.networks.define("wan", { namespace: "default", config });
  };
  define("10.7.0");
  await node.addPod("web", '[{"name":"wan","interface":"net1","default-route":["10.8.0.1"]}]');
  await node.clock.advance(3_600_000);
  expect(node.state("web")).toEqual({ links: ["eth0"], status: [], leases: [] });
  expect(node.events()).toContainEqual(expect.stringMatching(/^FailedAddingInterface: .*10\.8\.0\.1/));
  define("10.8.0");
  await node.clock.advance(120_000);
  expect(node.state("web")).toEqual(whole("net1 default/wan"));
});

test("one missing definition among good ones keeps none of them back", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1,missing@net2,red@net3");
  expect(node.state("web")).toEqual(whole("net1 default/blue", "net3 default/red"));
  await node.clock.advance(60_000);
  expect(node.state("web")).toEqual(whole("net1 default/blue", "net3 default/red"));
  expect(node.world.executor.runs).toEqual(["ADD net1", "ADD net3"]);
});

test("the pod's own eth0 is refused, and untouched", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@eth0,red@net1");
  const before = node.ipOf("web", "eth0");
  await node.clock.advance(60_000);
  expect(node.state("web")).toEqual(whole("net1 default/red"));
  expect(node.ipOf("web", "eth0")).toEqual(before);
  expect(node.events()).toContainEqual(
    expect.stringMatching(/^InterfaceAddRejected: .*eth0.*INTERFACE_IN_USE/),
  );
  await node.setNetworks("web", "");
  expect(node.links("web")).toEqual(["eth0"]);
});

test("another hardware address, address or network under the same name is changed in place", async () => {
  const node = await createNode();
  const networks = (change: object, name = "green") =>
    JSON.stringify([
      { name: "blue", interface: "net1" },
      { name, interface: "net2", ...change },
    ]);
  await node.addPod("web", networks({ mac: "02:00:00:00:aa:01" }));
  const untouched = node.macOf("web", "net1");
  await node.setNetworks("web", networks({ mac: "02:00:00:00:AA:02" }));
  expect(node.state("web")).toEqual(whole("net1 default/blue", "net2 default/green"));
  expect(node.macOf("web", "net2")).toBe("02:00:00:00:aa:02");
  expect(node.statusOf("web")[2]).toMatchObject({ mac: "02:00:00:00:aa:02" });
  await node.setNetworks("web", networks({ mac: "02:00:00:00:aa:02" }, "red"));
  expect(node.state("web")).toEqual(whole("net1 default/blue", "net2 default/red"));
  expect(node.macOf("web", "net1")).toBe(untouched);
  expect(node.world.executor.runs.filter((run) => run.endsWith("net1"))).toEqual(["ADD net1"]);
});

test("two names that swap their networks both change", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1,red@net2");
  await node.setNetworks("web", "blue@net2,red@net1");
  expect(node.statusOf("web").slice(1)).toMatchObject([
    { interface: "net1", name: "default/red" },
    { interface: "net2", name: "default/blue" },
  ]);
  expect(node.world.executor.leases()).toHaveLength(2);
});

test("ten quick flips end as the last one says", async () => {
  const node = await createNode();
  await node.addPod("web");
  for (let flip = 0; flip < 10; flip += 1) {
    node.cluster.annotate("default/web", {
      [networksAnnotation]: flip % 2 === 0 ? "blue@net1" : "red@net1,blue",
    });
    if (flip % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await quiet();
  await node.clock.advance(30_000);
  const names = node.statusOf("web").map((entry) => entry["name"]);
  expect(names).toEqual(["cluster", "default/red", "default/blue"]);
  expect(node.links("web")).toHaveLength(3);
  expect(node.world.executor.leases()).toHaveLength(2);
});

test("an interface deleted by hand in the pod is made again at once, under its name, and the pod is told", async () => {
  const node = await createNode();
  await node.addPod("web", "blue,red@net2");
  node.world.interfaces.removeLink(node.netnsPath("web"), "net1");
  await quiet();
  expect(node.links("web").toSorted()).toEqual(["eth0", "net1", "net2"]);
  expect(node.state("web").status).toContain("net1 default/blue");
  expect(node.world.executor.leases()).toHaveLength(2);
  expect(node.world.executor.runs.filter((run) => run.endsWith("net2"))).toEqual(["ADD net2"]);
  expect(node.events()).toContain(
    "InterfaceCheckFailed: interface net1 of network default/blue isn't as it was added: interface net1 is gone from the pod",
  );
});

test("an interface renamed or readdressed by hand is told in an event, once, and left as it is", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1,red@net2");
  node.world.interfaces.changeLink(node.netnsPath("web"), "net1", { name: "mine" });
  node.world.interfaces.changeLink(node.netnsPath("web"), "net2", { ips: [] });
  await quiet();
  await node.clock.advance(900_000);
  expect(node.links("web")).toEqual(["eth0", "mine", "net2"]);
  expect(node.ipOf("web", "net2")).toEqual([]);
  expect(node.events().filter((event) => event.startsWith("InterfaceCheckFailed"))).toEqual([
    expect.stringContaining("interface net1 was renamed to mine"),
    expect.stringMatching(/interface net2 has lost 10\.9\.0\.\d+$/),
  ]);
});

test("a failed CHECK of a device without a link is told in an event, once, and the device left as it is", async () => {
  const node = await createNode();
  node.world.networks.define("vf", { namespace: "default", config: { plugins: [{ type: "device" }] } });
  await node.addPod("web", "vf@net1,blue@net2");
  const before = node.statusOf("web");
  const failure = new PodplugError("CHECK_FAILED", "no interface net1", { plugin: "device" });
  node.world.executor.failOn("check", failure);
  await node.clock.advance(1_200_000);
  expect(node.events().filter((event) => event.startsWith("InterfaceCheckFailed"))).toEqual([
    expect.stringContaining("interface net1 of network default/vf"),
    expect.stringContaining("interface net2 of network default/blue"),
  ]);
  const changes = node.world.executor.runs.filter((run) => !run.startsWith("CHECK"));
  expect(changes).toEqual(["ADD net1", "ADD net2"]);
  expect(node.statusOf("web")).toEqual(before);
});

test("an interface of a pod that KubeVirt runs may be renamed without a word", async () => {
  const node = await createNode();
  await node.addPod("vm", "blue", { labels: { "kubevirt.io": "virt-launcher" } });
  const [name = ""] = node.links("vm").filter((each) => each !== "eth0");
  node.world.interfaces.changeLink(node.netnsPath("vm"), name, { name: "vm-nic" });
  await quiet();
  expect(node.eventReasons()).toEqual(["AddedInterface"]);
  expect(node.links("vm")).toEqual(["eth0", "vm-nic"]);
});

test.each([undefined, "[]", "gone", '[{"name":"default/blue","interface":"net1","ips":["9.9.9.9"]}]'])(
  "a network-status overwritten by hand with %j is put right, and hides nothing from a removal",
  async (text) => {
    const node = await createNode();
    await node.addPod("web", "blue@net1");
    node.cluster.annotate("default/web", { [networkStatusAnnotation]: text });
    await quiet();
    expect(node.state("web")).toEqual(whole("net1 default/blue"));
    node.cluster.annotate("default/web", {
      [networkStatusAnnotation]: "[]",
      [networksAnnotation]: "",
    });
    await quiet();
    expect(node.links("web")).toEqual(["eth0"]);
    expect(node.world.executor.leases()).toEqual([]);
  },
);

test("a status that a killed agent left behind its work is put right", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1,red@net2");
  const text = node.podAt("web").annotations[networkStatusAnnotation];
  await node.setNetworks("web", "red@net2");
  await node.kill();
  node.cluster.annotate("default/web", { [networkStatusAnnotation]: text });
  await node.restart();
  expect(node.state("web")).toEqual(whole("net2 default/red"));
});

test("one pod whose plugin hangs keeps no other waiting", async () => {
  const node = await createNode();
  const { promise, resolve } = Promise.withResolvers<void>();
  node.world.executor.holdOn("add", promise);
  await node.addPod("slow", "blue@net1");
  node.world.executor.holdOn("add", undefined);
  await node.addPod("quick", "blue@net1");
  expect(node.links("quick")).toEqual(["eth0", "net1"]);
  expect(node.state("quick").status).toEqual(["eth0 cluster", "net1 default/blue"]);
  expect(node.links("slow")).toEqual(["eth0"]);
  resolve();
  await quiet();
  expect(node.links("slow")).toEqual(["eth0", "net1"]);
});

test("a runtime that is away for a while is asked again until it answers", async () => {
  const node = await createNode();
  await node.addPod("web");
  node.world.sandboxes.failWith(new PodplugError("UNREACHABLE", "the runtime is away"));
  await node.setNetworks("web", "blue@net1");
  await node.clock.advance(30_000);
  expect(node.links("web")).toEqual(["eth0"]);
  node.world.sandboxes.failWith(undefined);
  await node.clock.advance(30_000);
  expect(node.state("web")).toEqual(whole("net1 default/blue"));
});

test("a plugin that fails is tried again for ever, and leaves nothing meanwhile", async () => {
  const node = await createNode();
  const failed = new PodplugError("PLUGIN_FAILED", "plugin fake failed: no");
  node.world.executor.failOn("add", failed);
  await node.addPod("web", "blue@net1");
  await node.clock.advance(3_600_000);
  expect(node.state("web")).toEqual({ links: ["eth0"], status: [], leases: [] });
  node.world.executor.failOn("add", undefined);
  await node.clock.advance(30_000);
  expect(node.state("web")).toEqual(whole("net1 default/blue"));
});

test("a removal that fails is told, and tried again until it succeeds", async () => {
  const node = await createNode();
  await node.addPod("web", "blue@net1");
  node.world.executor.failOn("del", new PodplugError("PLUGIN_FAILED", "plugin fake failed: no"));
  await node.setNetworks("web", "");
  expect(node.eventReasons()).toContain("FailedRemovingInterface");
  node.world.executor.failOn("del", undefined);
  await node.clock.advance(30_000);
  expect(node.state("web")).toEqual(whole());
});
