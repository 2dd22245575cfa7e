import { beforeAll, expect, test } from "vitest";
import { eventually, useCluster } from "./support/cluster.ts";
import { type Multus, startMultus } from "./support/multus.ts";
import {
  makePlugWorld,
  networksAnnotation,
  type PlugPod,
  type PlugWorld,
  statusAnnotation,
} from "./support/plug-world.ts";

/*
 * Pods that Multus plugged networks into when they were created, on a node
 * where podplug runs beside it.
 */

const cluster = useCluster();
let world: PlugWorld;
let multus: Multus;

beforeAll(async () => {
  await using cleanup = new AsyncDisposableStack();
  world = cleanup.use(await makePlugWorld(cluster, { cni: { cacheDirs: ["/var/lib/cni/multus"] } }));
  multus = cleanup.use(await startMultus(cluster));
  for (const network of ["blue", "red", "green"]) await world.define(network);
  const held = cleanup.move();
  return () => held.disposeAsync();
});

const blueAndRed = '[{"name":"blue"},{"name":"red","interface":"ens4"}]';

async function startPlugged(name: string) {
  const pod = await world.startPod(name, { [networksAnnotation]: blueAndRed });
  return { pod, created: await pod.holds(["net1 blue", "ens4 red"]) };
}

async function statusOf(name: string): Promise<string> {
  const path = `jsonpath={.metadata.annotations.${statusAnnotation.replaceAll(".", "\\.")}}`;
  return await cluster.kubectl("-n", world.namespace.name, "get", "pod", name, "-o", path);
}

test("what Multus plugged counts as there, with its status as Multus wrote it, and goes with its pod", async () => {
  const { pod, created } = await startPlugged("created");
  const status = await statusOf("created");
  await pod.networks(`${blueAndRed.slice(0, -1)},{"name":"green","interface":"net7"}]`);
  const after = await pod.holds(["net1 blue", "ens4 red", "net7 green"]);
  expect(after.leases).toEqual(expect.arrayContaining([...created.leases]));
  const isOfMultus = ({ interface: name }: { interface?: string }): boolean => name !== "net7";
  const before = JSON.parse(status) as { interface?: string }[];
  expect((JSON.parse(await statusOf("created")) as { interface?: string }[]).filter(isOfMultus)).toEqual(
    before,
  );
  await cluster.kubectl("-n", world.namespace.name, "delete", "pod", "created");
  await pod.isForgotten();
});

test("it is unplugged when its selection leaves the annotation, named or not, also while the agent is down", async () => {
  const { pod, created } = await startPlugged("unplugged");
  await pod.networks("red@ens4");
  const after = await pod.holds(["ens4 red"]);
  expect(created.leases).toContain(after.leases[0]);
  await pod.hears("RemovedInterface", /net1 from network .*\/blue/);
  await world.kill();
  await pod.networks("");
  await world.agent.start();
  await pod.holds([]);
});

test("unplugged and plugged again, it outlives nothing when Multus's own DEL comes late", async () => {
  const { pod } = await startPlugged("again");
  await pod.networks("red@ens4");
  await pod.holds(["ens4 red"]);
  await pod.networks("green@net1,red@ens4");
  await pod.holds(["net1 green", "ens4 red"]);
  await pod.networks("blue@net1,red@ens4");
  await pod.holds(["net1 blue", "ens4 red"]);
  await cluster.kubectl("-n", world.namespace.name, "delete", "pod", "again");
  await pod.isForgotten();
  expect(await world.nodeLinks()).toEqual([]);
});

test("its address is changed in place", async () => {
  await world.define("fixed", { capabilities: { ips: true } });
  const selection = (ip: string): string =>
    JSON.stringify([{ name: "fixed", interface: "net1", ips: [`10.92.4.${ip}/24`] }]);
  const pod = await world.startPod("fixed", { [networksAnnotation]: selection("50") });
  await pod.holds(["net1 fixed"]);
  await pod.networks(selection("51"));
  await eventually("the new address", async () =>
    (await pod.state()).links.includes("net1 10.92.4.51") ? true : undefined,
  );
  await pod.holds(["net1 fixed"]);
});

/** As multus-dynamic-networks-controller plugs into a running pod: by Multus's delegate API, then network-status. */
async function plugByDelegate({ name, pod, sandbox, annotate }: PlugPod, network: string, ifName: string) {
  const definition = await cluster.kubectlJson<{ readonly spec: { readonly config: string } }>(
    "-n",
    world.namespace.name,
    "get",
    "network-attachment-definitions",
    network,
  );
  const config = JSON.stringify({ name: network, ...(JSON.parse(definition.spec.config) as object) });
  const result = await multus.delegate({
    env: {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: sandbox.id,
      CNI_NETNS: sandbox.netnsPath,
      CNI_IFNAME: ifName,
      CNI_ARGS: `K8S_POD_NAMESPACE=${world.namespace.name};K8S_POD_NAME=${name};K8S_POD_UID=${pod.metadata.uid}`,
    },
    config: Buffer.from(config).toString("base64"),
  });
  const address = result.ips[0]?.address.split("/")[0] ?? "";
  const mac = result.interfaces.find((link) => link.name === ifName)?.mac ?? "";
  const entry = {
    name: `${world.namespace.name}/${network}`,
    interface: ifName,
    ips: [address],
    mac,
    dns: {},
  };
  const status = [...(JSON.parse(await statusOf(name)) as object[]), entry];
  await annotate(`${statusAnnotation}=${JSON.stringify(status)}`);
}

test("what was plugged through Multus into a running pod before podplug came is taken over, and unplugged", async () => {
  const { pod } = await startPlugged("changed-over");
  await world.kill();
  await pod.networks(`${blueAndRed.slice(0, -1)},{"name":"green","interface":"net9"}]`);
  await plugByDelegate(pod, "green", "net9");
  const before = await pod.state();
  expect(before.links).toHaveLength(3);
  await world.agent.start();
  const after = await pod.holds(["net1 blue", "ens4 red", "net9 green"]);
  expect(after.links).toEqual(before.links);
  await pod.networks(blueAndRed);
  await pod.holds(["net1 blue", "ens4 red"]);
  await cluster.kubectl("-n", world.namespace.name, "delete", "pod", "changed-over");
  await pod.isForgotten();
});
