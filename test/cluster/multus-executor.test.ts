import { beforeAll, expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { useCluster } from "./support/cluster.ts";
import { type Multus, startMultus } from "./support/multus.ts";
import { hardwareAddressOf, makePlugWorld, type PlugWorld } from "./support/plug-world.ts";

/*
 * podplug beside Multus's thick plugin, which runs the plugins for it, as it
 * did for multus-dynamic-networks-controller.
 */

const cluster = useCluster();
let world: PlugWorld;
let multus: Multus;

beforeAll(async () => {
  await using cleanup = new AsyncDisposableStack();
  multus = cleanup.use(await startMultus(cluster));
  world = cleanup.use(
    await makePlugWorld(cluster, { executor: "multus", multusSocketPath: multus.socketPath }),
  );
  const capabilities = { ips: true, mac: true };
  for (const network of ["blue", "red"]) await world.define(network, { capabilities });
  const held = cleanup.move();
  return () => held.disposeAsync();
});

const byApi = (name: string) => ({ kind: "pod", pod: { namespace: world.namespace.name, name } }) as const;

test("networks are plugged into a running pod and unplugged, as the annotation says", async () => {
  expect(await world.agent.client.info(neverAborted)).toMatchObject({ executor: "multus" });
  const pod = await world.startPod("plugged");
  await pod.networks("blue@net1");
  const one = await pod.holds(["net1 blue"]);
  await pod.networks("blue@net1,red@ens4");
  const two = await pod.holds(["net1 blue", "ens4 red"]);
  expect(two.leases).toEqual(expect.arrayContaining([...one.leases]));
  await world.agent.client.check({ target: byApi("plugged"), interface: "ens4" }, neverAborted);
  await pod.networks("[]");
  await pod.holds([]);
});

test("an address and a hardware address are passed on, and changed in place", async () => {
  const pod = await world.startPod("fixed");
  const selection = (ip: string, mac: string): string =>
    JSON.stringify([{ name: "blue", interface: "net1", ips: [`10.92.1.${ip}/24`], mac }]);
  await pod.networks(selection("77", "02:00:00:00:00:77"));
  expect(await pod.holds(["net1 blue"])).toMatchObject({ links: ["net1 10.92.1.77"] });
  expect(await hardwareAddressOf(pod, "net1")).toBe("02:00:00:00:00:77");
  await pod.networks(selection("78", "02:00:00:00:00:78"));
  await expect.poll(async () => (await pod.state()).links, { timeout: 60_000 }).toEqual(["net1 10.92.1.78"]);
  await pod.holds(["net1 blue"]);
});

test("what its API can't carry is refused, and says so on the pod", async () => {
  const pod = await world.startPod("refused");
  await pod.networks(JSON.stringify([{ name: "blue", interface: "net1", bandwidth: { ingressRate: 1000 } }]));
  await pod.hears("InterfaceAddRejected", /bandwidth/);
  await pod.holds([]);
});

test("a pod that is deleted leaves nothing, though Multus doesn't know it any more", async () => {
  const pod = await world.startPod("deleted");
  await pod.networks("blue@net1,red@net2");
  await pod.holds(["net1 blue", "net2 red"]);
  await cluster.kubectl(
    "-n",
    world.namespace.name,
    "delete",
    "pod",
    "deleted",
    "--grace-period=0",
    "--force",
  );
  await pod.isForgotten();
});

test("while the daemon is away an edit is waited for, and done once it is back", async () => {
  const pod = await world.startPod("waiting");
  await pod.networks("blue@net1");
  await pod.holds(["net1 blue"]);
  await multus.stopDaemon();
  await pod.networks("red@net2");
  await expect
    .poll(() => world.agent.program.log().map(({ message }) => message), { timeout: 60_000 })
    .toContain("attaching failed");
  await multus.startDaemon();
  await pod.holds(["net2 red"]);
});
