import { expect, test } from "vitest";
import type { ReadIntent } from "../../src/contiv/intent.ts";
import type { IntentFile } from "../../src/contiv/intent-file.ts";
import { readIntent } from "../../src/contiv/read-intent.ts";
import { createContivSource } from "../../src/controller/intent/contiv.ts";
import { example } from "../contiv/example.ts";
import { createNode, quiet } from "./node.ts";

/** A file that says what it is told to say. */
function createFile(intent: unknown = example) {
  let read = readIntent(JSON.stringify(intent));
  let changed = Promise.withResolvers<undefined>();
  const file: IntentFile = {
    path: "/etc/intent.json",
    current: () => read,
    async *changes(signal) {
      const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve));
      for (;;) {
        await Promise.race([changed.promise, aborted]);
        if (signal.aborted) return;
        changed = Promise.withResolvers();
        yield read;
      }
    },
  };
  return {
    file,
    async write(next: unknown): Promise<ReadIntent> {
      read = readIntent(JSON.stringify(next));
      changed.resolve(undefined);
      await quiet();
      return read;
    },
  };
}

async function createWorld(intent: unknown = example) {
  const { file, write } = createFile(intent);
  const node = await createNode({
    otherSources: (podKeys) => [createContivSource({ file, hostName: "host1", podKeys })],
  });
  const config = { plugins: [{ type: "fake", capabilities: { ips: true } }] };
  for (const name of ["orange", "purple", "white"]) {
    node.world.networks.define(name, { namespace: "tenant-one", config });
  }
  return {
    node,
    write,
    /** `NETWORK ADDRESS OWNER` of each attachment. */
    async holds(name: string, namespace = "default"): Promise<readonly string[]> {
      const target = { kind: "pod", pod: { namespace, name } } as const;
      const all = await node.world.as("test").list({ target }, node.world.never);
      return all
        .filter(({ attachmentId }) => attachmentId !== "")
        .map(({ network, selection, owner }) => `${network} ${selection?.ips?.join()} ${owner}`);
    },
  };
}

/** The example's tenant with these networks. */
function withNetworks(...networks: readonly object[]): object {
  return { ...example, Tenants: [{ ...example.Tenants[0], Networks: networks }] };
}

const orange = (...containers: readonly string[]): object => ({
  Name: "orange",
  Endpoints: containers.map((Container) => ({ Container })),
});

test("a pod gets an interface in each network that lists its name, and others get none", async () => {
  const { node, holds } = await createWorld(
    withNetworks(orange("container1"), { Name: "white", Endpoints: [{ Container: "container1" }] }),
  );
  await node.addPod("container1");
  await node.addPod("web");
  expect(await holds("container1")).toEqual([
    "tenant-one/orange 11.1.0.1/24 intent/contiv",
    "tenant-one/white 11.1.1.1/24 intent/contiv",
  ]);
  expect(node.state("container1").status).toEqual([
    "eth0 cluster",
    "net1 tenant-one/orange",
    "net2 tenant-one/white",
  ]);
  expect(await holds("web")).toEqual([]);
});

test("networks and endpoints that come and go in the file are plugged and unplugged on running pods", async () => {
  const { node, write, holds } = await createWorld(withNetworks());
  await node.addPod("container1");
  await node.addPod("container3");
  await write(withNetworks(orange("container1", "container3")));
  expect(await holds("container3")).toEqual(["tenant-one/orange 11.1.0.2/24 intent/contiv"]);
  await write(withNetworks(orange("container1")));
  expect(await holds("container1")).toEqual(["tenant-one/orange 11.1.0.1/24 intent/contiv"]);
  expect(await holds("container3")).toEqual([]);
  await write(withNetworks());
  expect(await holds("container1")).toEqual([]);
  expect(node.world.executor.leases()).toEqual([]);
});

test("what an endpoint or its network is changes in place, and what stays the same isn't touched", async () => {
  const { node, write, holds } = await createWorld(withNetworks(orange("container1", "container3")));
  await node.addPod("container1");
  await node.addPod("container3");
  const before = node.world.executor.runs.length;
  await write(
    withNetworks({
      Name: "orange",
      Endpoints: [{ Container: "container1" }, { Container: "container3", IPAddress: "11.1.0.77" }],
    }),
  );
  expect(await holds("container3")).toEqual(["tenant-one/orange 11.1.0.77/24 intent/contiv"]);
  expect(node.world.executor.runs.slice(before)).toEqual(["DEL net1", "ADD net1"]);
  await write(withNetworks({ ...orange("container1"), PktTag: 7 }));
  const runs = node.world.executor.runs.slice(before + 2);
  expect(runs.toSorted()).toEqual(["ADD net1", "DEL net1", "DEL net1"]);
});

test("a file that can't be used changes nothing, says why to the pods that it named, and is caught up on", async () => {
  const { node, write, holds } = await createWorld();
  await node.addPod("container1");
  await node.addPod("web");
  const held = await holds("container1");
  const broken = await write({
    ...example,
    Tenants: [...example.Tenants, { ...example.Tenants[0], Name: "two" }],
  });
  expect(broken.kind).toBe("invalid");
  await node.addPod("container3");
  expect(await holds("container1")).toEqual(held);
  expect(await holds("container3")).toEqual([]);
  const told = node.events().filter((event) => event.startsWith("InterfaceAddRejected"));
  expect(told).toEqual(
    Array.from(
      { length: 2 },
      () =>
        "InterfaceAddRejected: intent /etc/intent.json changes nothing: it can't be used: Tenants[1].SubnetPool: it overlaps Tenants[0]'s",
    ),
  );
  await write(example);
  expect(await holds("container1")).toEqual(held);
  expect(await holds("container3")).toEqual(["tenant-one/orange 11.1.0.2/24 intent/contiv"]);
});

test("a controller that starts with a broken file leaves what is plugged alone", async () => {
  const { node, write, holds } = await createWorld();
  await node.addPod("container1");
  const held = await holds("container1");
  await node.stopController();
  await write({ Hosts: [{}] });
  await node.startController();
  expect(await holds("container1")).toEqual(held);
});

test("what changed in the file while nobody looked is caught up on", async () => {
  const { node, write, holds } = await createWorld();
  await node.addPod("container1");
  await node.stopController();
  await write(withNetworks());
  await node.startController();
  expect(await holds("container1")).toEqual([]);
});

test("an endpoint that names another host isn't this node's", async () => {
  const { node, holds } = await createWorld(
    withNetworks({
      Name: "orange",
      Endpoints: [
        { Container: "container1", Host: "host2" },
        { Container: "container3", Host: "host1" },
      ],
    }),
  );
  await node.addPod("container1");
  await node.addPod("container3");
  expect(await holds("container1")).toEqual([]);
  expect(await holds("container3")).toEqual(["tenant-one/orange 11.1.0.2/24 intent/contiv"]);
});

test("of two pods of one name, the second gets nothing until the first is gone", async () => {
  const { node, holds } = await createWorld();
  await node.addPod("container1");
  const sandbox = await node.world.sandboxes.addPod({ namespace: "other", name: "container1" });
  node.cluster.setPod({ namespace: "other", name: "container1", uid: sandbox.pod?.uid ?? "" });
  await quiet();
  expect(await holds("container1")).toHaveLength(1);
  expect(await holds("container1", "other")).toEqual([]);
  expect(node.events().filter((event) => event.includes("other/container1"))).toEqual([
    "InterfaceAddRejected: intent /etc/intent.json changes nothing: it is for one pod of this name, and pod other/container1 has it too",
  ]);
  node.cluster.removePod("default/container1");
  await quiet();
  expect(await holds("container1", "other")).toEqual(["tenant-one/orange 11.1.0.1/24 intent/contiv"]);
});

test("what an annotation and the API plug beside it stays theirs", async () => {
  const { node, write, holds } = await createWorld();
  await node.addPod("container1", "blue@net5");
  await write(withNetworks());
  expect((await holds("container1")).map((line) => line.split(" ")[2])).toEqual(["annotation/npwg"]);
});
