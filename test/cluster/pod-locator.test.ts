import { rm, writeFile } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { createNetlinkInterfaceReader, type NetlinkInterfaceReader } from "../../src/interfaces/netlink.ts";
import { type AutoLocator, createAutoLocator } from "../../src/sandbox/auto.ts";
import { failure } from "../support/failure.ts";
import { eventually, run, type TestNamespace, useCluster } from "./support/cluster.ts";
import { type Pod, podManifest, podSandbox, readyPod } from "./support/pods.ts";

const cluster = useCluster();
const { signal } = new AbortController();
let namespace: TestNamespace;
let interfaces: NetlinkInterfaceReader;
let locator: AutoLocator;
let web: Pod;

beforeAll(async () => {
  namespace = await cluster.makeNamespace();
  interfaces = await createNetlinkInterfaceReader();
  locator = createAutoLocator({ interfaces, clock: systemClock, log: silentLogger });
  await cluster.apply(podManifest(namespace.name, "web"), podManifest(namespace.name, "other"));
  web = await readyPod(cluster, namespace.name, "web");
  await readyPod(cluster, namespace.name, "other");
});

afterAll(async () => {
  locator[Symbol.dispose]();
  interfaces[Symbol.dispose]();
  await namespace[Symbol.asyncDispose]();
});

test("containerd is found where it usually listens", async () => {
  expect(await locator.describe(signal)).toMatch(/^cri containerd 2\.\d+\.\d+$/);
});

test("a pod is one sandbox by its name, its container, its sandbox and its namespace", async () => {
  const { id, netnsPath } = await podSandbox(web);
  const { uid, name } = web.metadata;
  const pod = { namespace: namespace.name, name, uid };
  const sandbox = { id, netnsPath, netns: await interfaces.identify(netnsPath, signal), pod };
  const containerId = web.status.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  const located = await Promise.all([
    locator.locate({ kind: "pod", pod: { namespace: namespace.name, name } }, signal),
    locator.locate({ kind: "pod", pod }, signal),
    locator.locate({ kind: "container", containerId }, signal),
    locator.locate({ kind: "container", containerId: id }, signal),
    locator.locate({ kind: "netns", netns: netnsPath }, signal),
  ]);
  expect(located).toEqual(Array.from({ length: 5 }, () => sandbox));
  expect(await locator.list(signal)).toContainEqual(sandbox);
});

test("what isn't there is refused, each for its reason", async () => {
  const pod = { namespace: namespace.name, name: "web", uid: "another" };
  await expect(locator.locate({ kind: "pod", pod }, signal)).rejects.toEqual(failure("UID_MISMATCH"));
  await expect(
    locator.locate({ kind: "pod", pod: { namespace: namespace.name, name: "none" } }, signal),
  ).rejects.toEqual(failure("TARGET_NOT_FOUND"));
  await expect(locator.locate({ kind: "container", containerId: "f".repeat(64) }, signal)).rejects.toEqual(
    failure("TARGET_NOT_FOUND"),
  );
});

test("a pod on the node's own network is refused and not listed", async () => {
  const { spec, ...manifest } = podManifest(namespace.name, "host");
  await cluster.apply({ ...manifest, spec: { ...spec, hostNetwork: true } });
  await readyPod(cluster, namespace.name, "host");
  await expect(
    locator.locate({ kind: "pod", pod: { namespace: namespace.name, name: "host" } }, signal),
  ).rejects.toEqual(failure("HOST_NETWORK"));
  const names = (await locator.list(signal)).map(({ pod }) => pod?.name);
  expect(names).toEqual(expect.arrayContaining(["web", "other"]));
  expect(names).not.toContain("host");
});

test("a static pod is located by the config hash that its mirror pod shows", async () => {
  const file = `/run/podplug-cluster/static-pods/${namespace.name}.yaml`;
  await writeFile(file, JSON.stringify(podManifest(namespace.name, "static")));
  try {
    const name = `static-${cluster.nodeName}`;
    const mirror = await readyPod(cluster, namespace.name, name);
    const uid = mirror.metadata.annotations?.["kubernetes.io/config.hash"];
    const pod = { namespace: namespace.name, name };
    const sandbox = await locator.locate({ kind: "pod", pod: { ...pod, uid } }, signal);
    expect(sandbox.pod).toEqual({ ...pod, uid });
    expect(await locator.locate({ kind: "pod", pod }, signal)).toEqual(sandbox);
    await expect(
      locator.locate({ kind: "pod", pod: { ...pod, uid: mirror.metadata.uid } }, signal),
    ).rejects.toEqual(failure("UID_MISMATCH", uid));
  } finally {
    await rm(file);
  }
});

test("a pod whose sandbox died is located in its next one", async () => {
  const pod = { namespace: namespace.name, name: "web", uid: web.metadata.uid };
  const before = await locator.locate({ kind: "pod", pod }, signal);
  await run("ctr", ["-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", before.id]);
  const after = await eventually("another sandbox", async () => {
    const sandbox = await locator.locate({ kind: "pod", pod }, signal);
    return sandbox.id === before.id ? undefined : sandbox;
  });
  expect(after.pod).toEqual(before.pod);
  expect(after.netns).not.toEqual(before.netns);
  const listed = (await locator.list(signal)).filter(({ pod: each }) => each?.uid === pod.uid);
  expect(listed).toEqual([after]);
});
