import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import type { PodInterface } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";
import { failure } from "../support/failure.ts";
import { type ClusterAgent, startClusterAgent } from "./support/agent.ts";
import { eventually, useCluster } from "./support/cluster.ts";
import { type DockerContainer, type DockerEngine, startDocker } from "./support/docker.ts";

/* An agent on a node whose runtime is Docker: with plain containers, and with a pod of cri-dockerd's. */

const cluster = useCluster();
let docker: DockerEngine;
let agent: ClusterAgent;

beforeAll(async () => {
  await using cleanup = new AsyncDisposableStack();
  docker = cleanup.use(await startDocker(cluster));
  const directory = join(await cluster.makeFolder(), "networks");
  await mkdir(directory);
  agent = cleanup.use(
    await startClusterAgent(cluster, {
      config: {
        runtime: "docker",
        dockerSocketPath: docker.socketPath,
        networks: [{ directory }],
        controller: { enabled: false },
      },
    }),
  );
  const bridge = {
    type: "bridge",
    bridge: "docker-data",
    ipam: {
      type: "host-local",
      dataDir: join(agent.folder, "leases"),
      ranges: [[{ subnet: "10.93.0.0/24" }]],
    },
  };
  await writeFile(
    join(directory, "data.conflist"),
    JSON.stringify({ cniVersion: "1.0.0", name: "data", plugins: [bridge] }),
  );
  const held = cleanup.move();
  return () => held.disposeAsync();
});

const container = (containerId: string): Target => ({ kind: "container", containerId });

async function attach(target: Target): Promise<PodInterface> {
  const network = { name: "data", interface: "net1" };
  return (await agent.client.attach({ target, network }, neverAborted)).interface;
}

async function detach(target: Target): Promise<boolean> {
  const which = { by: "interface", interface: "net1" } as const;
  return (await agent.client.detach({ target, which }, neverAborted)).detached;
}

/** The kernel's own addresses, of version 6, apart. */
async function list(target: Target): Promise<readonly string[]> {
  const listed = await agent.client.list({ target }, neverAborted);
  return listed.map(({ name, origin, network, ips }) =>
    [name, origin, network, ...ips.filter((ip) => !ip.startsWith("fe80:"))].join(" "),
  );
}

async function hasLink(of: DockerContainer, name: string): Promise<boolean> {
  return (await of.onNode("ip", "-br", "link")).split(/\s+/).some((word) => word.split("@")[0] === name);
}

function addressOf({ ips: [ip = ""] }: PodInterface): string {
  return ip.replace(/\/.*/, "");
}

test("containers without a network are plugged by ID and by name, reach each other, and are unplugged", async () => {
  const [left, right] = [await docker.run("left"), await docker.run("right")];
  const before = [await left.life(), await right.life()];
  const plugged = [await attach(container(left.id)), await attach(container(right.name))] as const;
  const [here, there] = [addressOf(plugged[0]), addressOf(plugged[1])];
  expect(await agent.leases()).toHaveLength(2);
  expect(await left.exec("ip", "address", "show", "net1")).toContain(here);
  expect(await left.exec("ping", "-c", "1", "-W", "5", there)).toContain("1 packets received");
  expect(await right.exec("ping", "-c", "1", "-W", "5", here)).toContain("1 packets received");
  expect(await list(container(left.name))).toEqual([`net1 podplug data ${here}/24`]);
  expect(await list(container(right.id))).toEqual([`net1 podplug data ${there}/24`]);

  expect(await detach(container(left.name))).toBe(true);
  expect(await detach(container(right.id))).toBe(true);
  for (const each of [left, right]) {
    expect(await hasLink(each, "net1")).toBe(false);
    expect(await list(container(each.id))).toEqual([]);
  }
  expect(await agent.leases()).toEqual([]);
  expect([await left.life(), await right.life()]).toEqual(before);
});

test("a container's own network stays as it is, beside what is plugged", async () => {
  const bridged = await docker.run("bridged", { networkMode: "bridge" });
  const eth0 = () => bridged.onNode("ip", "address", "show", "eth0");
  const before = await eth0();
  const net1 = await attach(container(bridged.name));
  expect(await eth0()).toBe(before);
  expect(await list(container(bridged.name))).toEqual([
    expect.stringMatching(/^eth0 pod {2}10\.248\.0\.\d+\/24$/),
    `net1 podplug data ${addressOf(net1)}/24`,
  ]);
  await expect(
    agent.client.attach(
      { target: container(bridged.id), network: { name: "data", interface: "eth0" } },
      neverAborted,
    ),
  ).rejects.toEqual(failure("INTERFACE_IN_USE"));
  expect(await detach(container(bridged.id))).toBe(true);
  expect(await eth0()).toBe(before);
});

test("a container in another's network is plugged where the network is", async () => {
  const owner = await docker.run("owner");
  const guest = await docker.run("guest", { networkMode: `container:${owner.id}` });
  const net1 = await attach(container(guest.name));
  expect(net1.sandboxId).toBe(owner.id);
  for (const each of [owner, guest]) {
    expect(await each.exec("ip", "address", "show", "net1")).toContain(addressOf(net1));
  }
  expect(await detach(container(owner.name))).toBe(true);
  expect(await hasLink(guest, "net1")).toBe(false);
});

test("a container that is stopped is refused, and what it had is given back", async () => {
  const stopped = await docker.run("stopped");
  await attach(container(stopped.id));
  await stopped.stop();
  await expect(attach(container(stopped.name))).rejects.toEqual(failure("SANDBOX_NOT_READY"));
  await eventually("its address is given back", async () =>
    (await agent.leases()).length === 0 ? true : undefined,
  );
  await stopped.start();
  expect(await list(container(stopped.name))).toEqual([]);
  await attach(container(stopped.name));
  expect(await hasLink(stopped, "net1")).toBe(true);
  expect(await detach(container(stopped.name))).toBe(true);
});

test("a pod of cri-dockerd's is plugged by its name, without a restart, and follows it into its next sandbox", async () => {
  const pod = { namespace: "demo", name: "web", uid: randomUUID() };
  const target: Target = { kind: "pod", pod: { namespace: pod.namespace, name: pod.name } };
  const first = await docker.runPod(pod);
  const before = await first.container.life();
  const net1 = await attach(target);
  expect(net1).toMatchObject({ pod, sandboxId: first.sandbox.id });
  expect(await first.container.exec("ip", "address", "show", "net1")).toContain(addressOf(net1));
  expect(await list(container(first.container.id))).toEqual(await list(target));
  expect(await first.container.life()).toEqual(before);

  await first.container.stop();
  await first.sandbox.stop();
  const second = await docker.runPod(pod, 1);
  await eventually("it is plugged again", async () =>
    (await list(target))[0]?.startsWith("net1 podplug data 10.93.0.") ? true : undefined,
  );
  expect(await hasLink(second.container, "net1")).toBe(true);
  expect(await agent.leases()).toHaveLength(1);
  expect(await detach({ kind: "pod", pod })).toBe(true);
  expect(await hasLink(second.container, "net1")).toBe(false);
  expect(await agent.leases()).toEqual([]);
});
