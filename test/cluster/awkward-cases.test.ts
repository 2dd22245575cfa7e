import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, expect, test } from "vitest";
import { eventually, useCluster } from "./support/cluster.ts";
import {
  hardwareAddressOf,
  makePlugWorld,
  networksAnnotation,
  type PlugWorld,
  statusAnnotation,
  takeAway,
} from "./support/plug-world.ts";

/*
 * What happens to agents, networks, annotations and pods at awkward moments,
 * and what the pod, the leases, the records and network-status say afterwards.
 */

const cluster = useCluster();
let world: PlugWorld;

beforeAll(async () => {
  world = await makePlugWorld(cluster);
  for (const network of ["blue", "red", "green"]) await world.define(network);
  const capabilities = { ips: true, mac: true };
  await world.define("fixed", { capabilities });
  await world.define("fixed-too", { capabilities });
  return () => world[Symbol.asyncDispose]();
});

async function killAndStart(): Promise<void> {
  await world.kill();
  await world.agent.start();
}

test("an annotation that changes while the agent is down is caught up", async () => {
  const pod = await world.startPod("down");
  await pod.networks("blue@net1,red@net2");
  const before = await pod.holds(["net1 blue", "net2 red"]);
  await world.kill();
  await pod.networks("red@net2,green@net3");
  expect(await pod.state()).toEqual(before);
  await world.agent.start();
  const after = await pod.holds(["net2 red", "net3 green"]);
  expect(after.leases).toContain(before.leases[1]);
});

test("an agent killed while an ADD is in flight leaves one interface with one address, which stays", async () => {
  await world.define("slow-add", { gate: { command: "ADD", name: "add" } });
  const pod = await world.startPod("in-add");
  await world.shut("add");
  await pod.networks("slow-add@net1");
  await eventually("the plugin waits", async () => (await world.arrivals("add")) > 0 || undefined);
  expect((await pod.state()).leases).toHaveLength(1);
  await killAndStart();
  await eventually("the next one waits", async () => (await world.arrivals("add")) > 1 || undefined);
  await world.open("add");
  const after = await pod.holds(["net1 slow-add"]);
  await killAndStart();
  await delay(2_500);
  expect(await pod.state()).toEqual(after);
  await pod.networks(undefined);
  await pod.holds([]);
});

test("an agent killed while a DEL is in flight finishes it", async () => {
  await world.define("slow-del", { gate: { command: "DEL", name: "del" } });
  const pod = await world.startPod("in-del");
  await pod.networks("slow-del@net1,blue@net2");
  const before = await pod.holds(["net1 slow-del", "net2 blue"]);
  await world.shut("del");
  await pod.networks("blue@net2");
  await eventually("the plugin waits", async () => (await world.arrivals("del")) > 0 || undefined);
  await killAndStart();
  await eventually("the next one waits", async () => (await world.arrivals("del")) > 1 || undefined);
  await world.open("del");
  const after = await pod.holds(["net2 blue"]);
  expect(before.leases).toContain(after.leases[0]);
});

test("a network whose definition was deleted is removed from the pod all the same", async () => {
  await world.define("deleted");
  const pod = await world.startPod("undefined");
  await pod.networks("deleted@net1");
  await pod.holds(["net1 deleted"]);
  await world.undefine("deleted");
  await pod.networks(undefined);
  await pod.holds([]);
  await pod.hears("RemovedInterface", /net1 from network .*\/deleted/);
});

test("a definition that is created later is found without anybody touching the pod", async () => {
  const pod = await world.startPod("early");
  await pod.networks("later@net1");
  await pod.hears("FailedAddingInterface", /NETWORK_NOT_FOUND/);
  // Long enough for whoever gives up.
  await delay(5_000);
  await pod.holds([]);
  await world.define("later");
  await pod.holds(["net1 later"]);
  await pod.hears("AddedInterface", /net1 to network .*\/later/);
});

test.each([
  ["blue", "short"],
  ['[{"name":"blue"}]', "json"],
])("the unnamed selection %s is plugged, keeps no named one back, and is unplugged", async (text, form) => {
  const pod = await world.startPod(`unnamed-${form}`);
  await pod.networks(text);
  const before = await pod.holds(["net1 blue"]);
  await pod.networks('[{"name":"blue"},{"name":"red","interface":"data0"}]');
  const both = await pod.holds(["net1 blue", "data0 red"]);
  expect(both.leases).toEqual(expect.arrayContaining([...before.leases]));
  await pod.networks("red@data0");
  await pod.holds(["data0 red"]);
});

test("a pod started with an unnamed selection has it plugged, and named ones beside it later", async () => {
  const pod = await world.startPod("born-unnamed", { [networksAnnotation]: "blue" });
  await pod.holds(["net1 blue"]);
  await pod.networks("blue,red@net7");
  await pod.holds(["net1 blue", "net7 red"]);
});

test("a malformed annotation changes nothing and says why, and is taken up once corrected", async () => {
  const pod = await world.startPod("malformed");
  await pod.networks("blue@net1");
  const before = await pod.holds(["net1 blue"]);
  await pod.networks('[{"name":"red","mac":"nonsense"}]');
  await pod.hears("InterfaceAddRejected", /mac/);
  expect(await pod.state()).toEqual(before);
  await pod.networks("red@net2");
  await pod.holds(["net2 red"]);
  await pod.hears("AddedInterface", /net2 to network .*\/red/);
});

test("the same network twice, with names and without", async () => {
  const pod = await world.startPod("twice");
  await pod.networks("blue@net5,blue@net6");
  await pod.holds(["net5 blue", "net6 blue"]);
  await pod.networks("blue@net6");
  await pod.holds(["net6 blue"]);
  await pod.networks("blue,blue,blue@net6");
  await pod.holds(["net1 blue", "net2 blue", "net6 blue"]);
  await pod.networks("blue");
  const { links } = await eventually("one is left", async () => {
    const state = await pod.state();
    return state.links.length === 1 && state.status.length === 1 ? state : undefined;
  });
  await pod.holds([`${links[0]?.split(" ")[0]} blue`]);
  await pod.networks(undefined);
  await pod.holds([]);
});

test("one missing definition among good ones keeps none of them back", async () => {
  const pod = await world.startPod("mixed");
  await pod.networks("blue@net1,missing@net2,red@net3");
  const state = await pod.holds(["net1 blue", "net3 red"]);
  await pod.hears("FailedAddingInterface", /net2 .*NETWORK_NOT_FOUND/);
  // Several tries of the missing one.
  await delay(3_000);
  expect(await pod.state()).toEqual(state);
});

test("the pod's own eth0 is refused, and untouched", async () => {
  const pod = await world.startPod("primary");
  const before = await pod.sandbox.run("ip", "-j", "address", "show", "eth0");
  await pod.networks("blue@eth0,red@net1");
  await pod.holds(["net1 red"]);
  await pod.hears("InterfaceAddRejected", /eth0 .*INTERFACE_IN_USE/);
  await pod.networks(undefined);
  await pod.holds([]);
  expect(await pod.sandbox.run("ip", "-j", "address", "show", "eth0")).toBe(before);
});

test("another hardware address, address or network under the same name is changed in place", async () => {
  const pod = await world.startPod("changed");
  const networks = (name: string, change: object) =>
    JSON.stringify([
      { name: "blue", interface: "net1" },
      { name, interface: "net2", ...change },
    ]);
  await pod.networks(networks("fixed", { mac: "02:00:00:00:aa:01" }));
  await pod.holds(["net1 blue", "net2 fixed"]);
  const untouched = await hardwareAddressOf(pod, "net1");
  expect(await hardwareAddressOf(pod, "net2")).toBe("02:00:00:00:aa:01");

  await pod.networks(networks("fixed", { mac: "02:00:00:00:aa:02" }));
  await eventually("the hardware address", async () =>
    (await hardwareAddressOf(pod, "net2")) === "02:00:00:00:aa:02" ? true : undefined,
  );
  const before = await pod.holds(["net1 blue", "net2 fixed"]);

  const [, line = ""] = before.links;
  const wanted = line.replace("net2 ", "").replace(/\.\d+$/, ".77");
  await pod.networks(networks("fixed", { ips: [`${wanted}/24`] }));
  await eventually("the address", async () =>
    (await pod.state()).links.includes(`net2 ${wanted}`) ? true : undefined,
  );
  await pod.holds(["net1 blue", "net2 fixed"]);

  await pod.networks(networks("fixed-too", {}));
  await pod.holds(["net1 blue", "net2 fixed-too"]);
  expect(await hardwareAddressOf(pod, "net1")).toBe(untouched);
});

test("ten quick flips end as the last one says", async () => {
  const pod = await world.startPod("flips");
  for (let flip = 0; flip < 10; flip += 1) {
    await pod.networks(flip % 2 === 0 ? "blue@net1" : "red@net1,green@net2");
  }
  await pod.holds(["net1 red", "net2 green"]);
  for (let flip = 0; flip < 9; flip += 1) await pod.networks(flip % 2 === 0 ? undefined : "blue@net1");
  await pod.holds([]);
});

test("an interface deleted by hand in the pod is made again, with one address", async () => {
  const pod = await world.startPod("by-hand");
  await pod.networks("blue@net1,red@net2");
  await pod.holds(["net1 blue", "net2 red"]);
  const untouched = await hardwareAddressOf(pod, "net2");
  await pod.sandbox.run("ip", "link", "delete", "net1");
  await eventually("it is made again", async () =>
    (await pod.state()).links.some((link) => link.startsWith("net1 ")) ? true : undefined,
  );
  await pod.holds(["net1 blue", "net2 red"]);
  expect(await hardwareAddressOf(pod, "net2")).toBe(untouched);
});

test("a network-status overwritten by hand is put right, and hides nothing from a removal", async () => {
  const pod = await world.startPod("overwritten");
  await pod.networks("blue@net1");
  const before = await pod.holds(["net1 blue"]);
  for (const text of ["[]", '[{"name":"other","interface":"net1","ips":["9.9.9.9"]}]']) {
    await pod.annotate(`${statusAnnotation}=${text}`);
    expect(await pod.holds(["net1 blue"])).toEqual(before);
  }
  await pod.annotate(`${statusAnnotation}-`);
  expect(await pod.holds(["net1 blue"])).toEqual(before);
  await pod.annotate(`${statusAnnotation}=[]`, `${networksAnnotation}-`);
  await pod.holds([]);
});

test("on a pod that KubeVirt runs our entries go, also after a restart, and somebody else's device keeps its own", async () => {
  const pod = await world.startPod("virtual");
  await cluster.kubectl("-n", world.namespace.name, "label", "pod", pod.name, "kubevirt.io=virt-launcher");
  await pod.networks("blue@pod16477688c0e");
  await pod.holds(["pod16477688c0e blue"]);
  const device = {
    name: "infra/vf",
    interface: "net9",
    dns: {},
    "device-info": { type: "pci", version: "1.1.0", pci: { "pci-address": "0000:03:02.0" } },
  };
  await pod.annotate(`${statusAnnotation}=${JSON.stringify([device])}`);
  const { status } = await eventually("both are told", async () => {
    const state = await pod.state();
    return state.status.length === 2 ? state : undefined;
  });
  expect(status).toContain("net9 infra/vf");
  await killAndStart();
  for (const networks of ["red@pod16477688c0e", undefined]) {
    await pod.networks(networks);
    await eventually(`the status tells of ${networks ?? "nothing"}`, async () => {
      const now = (await pod.state()).status;
      if (now.length === (networks ? 2 : 1) && now.every((line) => /vf|red/.test(line))) return true;
      throw new Error(`it is ${JSON.stringify(now)}`);
    });
    expect((await pod.state()).status).toContain("net9 infra/vf");
  }
  expect(await pod.state()).toEqual({ links: [], status: ["net9 infra/vf"], leases: [], records: [] });
});

test.each([
  ["in its own time", ["--wait=false"]],
  ["with grace 0", ["--grace-period=0", "--force"]],
])("a pod deleted %s gives its plugged addresses back", async (how, options) => {
  const pod = await world.startPod(`deleted-${how.split(" ")[0]}`);
  await pod.networks("blue@net1,red@net2");
  await pod.holds(["net1 blue", "net2 red"]);
  await cluster.kubectl("-n", world.namespace.name, "delete", "pod", pod.name, ...options);
  await pod.isForgotten();
});

test("a plugin that hangs for 20 s on one pod keeps no other waiting", async () => {
  await world.define("hanging", { gate: { command: "ADD", name: "hang" } });
  const [slow, quick] = [await world.startPod("slow"), await world.startPod("quick")];
  await world.shut("hang");
  await slow.networks("hanging@net1");
  await eventually("the plugin waits", async () => (await world.arrivals("hang")) > 0 || undefined);
  const began = performance.now();
  for (const network of ["blue", "red", undefined]) {
    await quick.networks(network && `${network}@net1`);
    await quick.holds(network === undefined ? [] : [`net1 ${network}`]);
    // It is the first run that hangs still, so nobody waited for its end.
    expect(await world.arrivals("hang")).toBe(1);
  }
  await delay(Math.max(20_000 - (performance.now() - began), 0));
  expect((await slow.state()).status).toEqual([]);
  await world.open("hang");
  await slow.holds(["net1 hanging"]);
});

test("a runtime that is away for 30 s is asked again until it answers", async () => {
  const pod = await world.startPod("no-runtime");
  const known = await world.startPod("known");
  await known.networks("blue@net1");
  await known.holds(["net1 blue"]);
  {
    await using _ = await takeAway(cluster.criSocketPath);
    // A connection that is open would stay so.
    await killAndStart();
    await pod.networks("blue@net1,red@net2");
    await known.networks("blue@net1,green@net2");
    await delay(30_000);
    expect((await pod.state()).links).toEqual([]);
  }
  await pod.holds(["net1 blue", "net2 red"]);
  await known.holds(["net1 blue", "net2 green"]);
});
