import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, expect, onTestFinished, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { AgentProgram } from "../agent/agent-program.ts";
import { eventually, type TestNamespace, useCluster } from "./support/cluster.ts";
import {
  dataName,
  defineNetworks,
  greenName,
  type Kactus,
  makeKactus,
  startPodagent,
} from "./support/kaloom.ts";
import {
  deploymentManifest,
  type Pod,
  podExec,
  podManifest,
  podSandbox,
  readyPod,
  readyPods,
} from "./support/pods.ts";

/*
 * podplug in the place of Kaloom's podagent, under its name and with its flags,
 * without kactus and with it.
 */

const cluster = useCluster();
let namespace: TestNamespace;
let kactus: Kactus;

beforeAll(async () => {
  await using cleanup = new AsyncDisposableStack();
  namespace = cleanup.use(await cluster.makeNamespace());
  await defineNetworks(cluster);
  kactus = cleanup.use(await makeKactus(cluster));
  const held = cleanup.move();
  return () => held.disposeAsync();
});

const kubectl = (...args: readonly string[]) => cluster.kubectl("-n", namespace.name, ...args);
const networks = async (pod: Pod, text: string): Promise<void> => {
  await kubectl("annotate", "--overwrite", "pod", pod.metadata.name, `networks=${text}`);
};

/** As its users see it: in the pod. */
async function has(pod: Pod, ...names: readonly string[]): Promise<void> {
  await eventually(`${pod.metadata.name} has ${names.join(", ") || "nothing more"}`, async () => {
    const links = (await podExec(cluster, pod, "ip", "a")).matchAll(/^\d+: (net[0-9a-f]{12})@/gm);
    expect(Array.from(links, ([, name]) => name).toSorted()).toEqual(names.toSorted());
    return true;
  });
}

async function isNotRestarted({ metadata }: Pod): Promise<void> {
  const { metadata: now, status } = await readyPod(cluster, namespace.name, metadata.name);
  expect(now.uid).toBe(metadata.uid);
  expect(status.containerStatuses?.map(({ restartCount }) => restartCount)).toEqual([0]);
}

async function start(confDir: string): Promise<AgentProgram> {
  const podagent = await startPodagent(cluster, confDir);
  onTestFinished(() => podagent[Symbol.asyncDispose]());
  return podagent;
}

async function stop(podagent: AgentProgram): Promise<void> {
  podagent.kill("SIGTERM");
  expect(await podagent.ended).toMatchObject({ code: 0 });
}

/** podagent's own README, "Example", with the image that the node has. */
async function followReadme(name: string): Promise<void> {
  const labels = { run: name };
  await cluster.apply(deploymentManifest(namespace.name, name, 2, { labels, command: ["top"] }));
  const pods = await readyPods(cluster, namespace.name, `run=${name}`, 2);
  for (const pod of pods) {
    await has(pod);
    // Its scripts write the list with these spaces.
    await networks(pod, '[  { "name": "data"} ]');
    await has(pod, dataName);
    expect(await podExec(cluster, pod, "ip", "a")).toMatch(/inet 172\.20\.1\.\d+\/24/);
    await isNotRestarted(pod);
  }
  for (const pod of pods) {
    await networks(pod, "[  ]");
    await has(pod);
    await isNotRestarted(pod);
  }
}

test("podagent's own example goes as its users know it, without kactus", async () => {
  await start(cluster.cni.confDir);
  expect(await kactus.info()).toMatchObject({ executor: "direct" });
  await followReadme("hello-multi-net");
  expect(await kactus.leases("data")).toEqual([]);
});

test("and so it goes with kactus, which is run as podagent runs it", async () => {
  await start(kactus.confDir);
  expect(await kactus.info()).toMatchObject({ executor: "kactus" });
  await followReadme("hello-kactus");
  expect(await kactus.leases("data")).toEqual([]);
});

test("a hardware address reaches the plugin and is changed, and a Network that is broken hinders no other", async () => {
  await start(kactus.confDir);
  await cluster.apply(podManifest(namespace.name, "mixed"));
  const pod = await readyPod(cluster, namespace.name, "mixed");
  for (const last of ["2A", "2B"]) {
    const data = `{"name":"data","ifMac":"02:00:00:00:00:${last}"}`;
    await networks(pod, `[{"name":"broken"},${data},{"name":"green","podagentSkip":true}]`);
    await eventually(`the hardware address ends with ${last}`, async () => {
      const link = await podExec(cluster, pod, "ip", "link", "show", dataName);
      expect(link).toContain(`02:00:00:00:00:${last.toLowerCase()}`);
      return true;
    });
  }
  await has(pod, dataName);
  await eventually("an event tells of the broken one", async () => {
    expect(await kubectl("get", "events")).toMatch(/default\/broken.*INVALID_NETWORK/);
    return true;
  });
  await kubectl("delete", "pod", "mixed", "--grace-period=0", "--force");
  await eventually("its address is free", async () =>
    (await kactus.leases("data")).length === 0 ? true : undefined,
  );
});

test("what kactus plugged is taken over as it is, and is podplug's to unplug, without kactus", async () => {
  const pod = await kactus.createPod(namespace.name, "before", '[{"name":"green"}]');
  const sandbox = await podSandbox(pod);
  // As podagent does when the annotation gets one more.
  await networks(pod, '[{"name":"green"},{"name":"data"}]');
  await kactus.asPodagent("ADD", pod, "data");
  await has(pod, dataName, greenName);
  const indexes = await sandbox.run("ip", "-o", "link");
  const leases = await kactus.leases("data");

  await using _ = await kactus.takeAway();
  const podagent = await start(cluster.cni.confDir);
  await using client = createNodeClient({ server: "unix:///run/podplug/podplug.sock" });
  const target = { kind: "pod", pod: { namespace: namespace.name, name: "before" } } as const;
  await eventually("both are known", async () => {
    const listed = await client.list({ target }, neverAborted);
    const known = listed.filter(({ owner }) => owner === "annotation/kaloom");
    expect(
      known.map(({ name, network, origin, state }) => [name, network, origin, state]).toSorted(),
    ).toEqual(
      [
        [dataName, "default/data", "pod", "attached"],
        [greenName, "default/green", "pod", "attached"],
      ].toSorted(),
    );
    return true;
  });
  expect(await sandbox.run("ip", "-o", "link")).toBe(indexes);
  expect(await kactus.leases("data")).toEqual(leases);
  await networks(pod, '[{"name":"green"}]');
  await has(pod, greenName);
  expect(await kactus.leases("data")).toEqual([]);
  await isNotRestarted(pod);
  await kubectl("delete", "pod", "before", "--grace-period=0", "--force");
  await eventually("its addresses are free", async () => {
    expect(await kactus.leases("green")).toEqual([]);
    return true;
  });
  await stop(podagent);
});

test("changing back, what was plugged through kactus stays, and podagent can unplug it", async () => {
  const podagent = await start(kactus.confDir);
  await cluster.apply(podManifest(namespace.name, "after"));
  const pod = await readyPod(cluster, namespace.name, "after");
  await networks(pod, '[{"name":"data"}]');
  await has(pod, dataName);
  await stop(podagent);
  await has(pod, dataName);
  const { id } = await podSandbox(pod);
  expect(await readFile(join("/var/lib/cni/kactus", id), "utf8")).toContain('"networkName":"data"');
  await rm("/var/lib/cni/podplug", { recursive: true });
  await kactus.asPodagent("DEL", pod, "data");
  await has(pod);
  await expect(stat(join("/var/lib/cni/kactus", id))).rejects.toThrow("ENOENT");
});
