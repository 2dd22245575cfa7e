import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { silentLogger } from "../../src/domain/log.ts";
import type { Pod } from "../../src/domain/pod.ts";
import { createKubeAccess } from "../../src/kube/access.ts";
import { type ApiClient, createApiClient } from "../../src/kube/api-client.ts";
import { networkStatusAnnotation, type PodFeed } from "../../src/kube/contract.ts";
import { createDefinitionReader } from "../../src/kube/definition-reader.ts";
import { createEventRecorder } from "../../src/kube/event-recorder.ts";
import { createOwnWrites } from "../../src/kube/own-writes.ts";
import { startPodFeed } from "../../src/kube/pod-feed.ts";
import { createPodStatusWriter } from "../../src/kube/status-writer.ts";
import { failure } from "../support/failure.ts";
import { eventually, type TestNamespace, useCluster } from "./support/cluster.ts";
import { podManifest, readyPod } from "./support/pods.ts";

const cluster = useCluster();
const { signal } = new AbortController();
const networks = "k8s.v1.cni.cncf.io/networks";
const cleanup = new AsyncDisposableStack();
const ownWrites = createOwnWrites();
let client: ApiClient;
let pods: PodFeed;
let namespace: TestNamespace;

beforeAll(async () => {
  namespace = cleanup.use(await cluster.makeNamespace());
  const { path } = await cluster.agentKubeconfig();
  client = createApiClient({
    access: cleanup.use(await createKubeAccess({ kind: "kubeconfig", path })),
    clock: systemClock,
  });
  pods = cleanup.use(
    startPodFeed({
      client,
      nodeName: cluster.nodeName,
      annotations: [networks, networkStatusAnnotation],
      ownWrites,
      clock: systemClock,
      log: silentLogger,
    }),
  );
});
afterAll(() => cleanup.disposeAsync());

function known(name: string, what: string, holds: (pod: Pod) => boolean = () => true): Promise<Pod> {
  return eventually(`the feed knows ${name}: ${what}`, async () => {
    const pod = pods.get(`${namespace.name}/${name}`);
    return pod && holds(pod) ? pod : undefined;
  });
}

async function startPod(name: string): Promise<Pod> {
  await cluster.apply(podManifest(namespace.name, name));
  await readyPod(cluster, namespace.name, name);
  return await known(name, "it is there");
}

function kubectl(...args: readonly string[]): Promise<string> {
  return cluster.kubectl("-n", namespace.name, ...args);
}

test("the feed follows a pod from its creation over an annotation's change to its end", async () => {
  const { uid } = await startPod("followed");
  expect(await kubectl("get", "pod", "followed", "-o", "jsonpath={.metadata.uid}")).toBe(uid);
  await kubectl("annotate", "pod", "followed", `${networks}=blue`, "other=kept-out");
  const { annotations } = await known("followed", "its annotation", (pod) => networks in pod.annotations);
  expect(annotations).toEqual({ [networks]: "blue" });
  await kubectl("delete", "pod", "followed", "--wait=false");
  await eventually(
    "the feed forgets the pod",
    async () => !pods.get(`${namespace.name}/followed`) || undefined,
  );
});

test("a pod that finishes leaves the feed", async () => {
  const { spec, ...manifest } = podManifest(namespace.name, "finished", { command: ["sleep", "2"] });
  await cluster.apply({ ...manifest, spec: { ...spec, restartPolicy: "Never" } });
  await known("finished", "it is there");
  await eventually(
    "the feed forgets the pod",
    async () => !pods.get(`${namespace.name}/finished`) || undefined,
  );
  expect(await kubectl("get", "pod", "finished", "-o", "jsonpath={.status.phase}")).toBe("Succeeded");
});

test("network-status is written, guarded, and nothing else of the pod changes", async () => {
  const statusWriter = createPodStatusWriter({ client, ownWrites });
  const pod = await startPod("written");
  const write = (before: string | undefined, text: string) =>
    statusWriter.write({ pod, before, text }, signal);
  // What kubelet never changes of a pod that runs.
  const others = () =>
    kubectl(
      "get",
      "pod",
      "written",
      "-o",
      "jsonpath={.status.phase} {.status.podIPs} {.status.startTime} {.metadata.labels}",
    );
  await kubectl("label", "pod", "written", "changed=since");
  const earlier = await others();

  // The pod has no annotations at all, and has changed since it was read.
  expect(await write(undefined, "[1]")).toMatchObject({ kind: "written" });
  // It compares bytes, and Go prints these characters as escapes.
  expect(await write("[1]", '["<nil> & \u2028"]')).toMatchObject({ kind: "written" });
  expect(await write('["<nil> & \u2028"]', "[2]")).toMatchObject({ kind: "written" });
  expect(await write("[1]", "[2]")).toMatchObject({ kind: "written" });
  await kubectl("annotate", "pod", "written", "--overwrite", `${networkStatusAnnotation}=[theirs]`);
  const theirs = { annotations: { [networkStatusAnnotation]: "[theirs]" } };
  expect(await write("[2]", "[3]")).toMatchObject({ kind: "conflict", pod: theirs });
  expect(await write(undefined, "[3]")).toMatchObject({ kind: "conflict", pod: theirs });
  await expect(write("[theirs]", "x".repeat(300_000))).rejects.toEqual(
    failure("INVALID_REQUEST", "Too long"),
  );
  expect(await others()).toBe(earlier);

  const another = { ...pod, uid: "00000000-0000-0000-0000-000000000000" };
  for (const before of ["[theirs]", undefined]) {
    expect(await statusWriter.write({ pod: another, before, text: "[4]" }, signal)).toEqual({ kind: "gone" });
  }
  await kubectl("annotate", "pod", "written", `${networkStatusAnnotation}-`);
  for (const before of ["[theirs]", undefined]) {
    expect(await statusWriter.write({ pod: another, before, text: "[4]" }, signal)).toEqual({ kind: "gone" });
  }
  await kubectl("delete", "pod", "written", "--grace-period=0", "--force");
  expect(await write(undefined, "[4]")).toEqual({ kind: "gone" });
});

test("events appear on the pod, counted", async () => {
  const pod = await startPod("told");
  let aheadMs = 0;
  // Time passes as the test wants, so that the repetition is written at once.
  const clock = { ...systemClock, steadyMs: () => performance.now() + aheadMs };
  const recorder = cleanup.use(
    createEventRecorder({ client, nodeName: cluster.nodeName, clock, log: silentLogger }),
  );
  const facts = { type: "Normal", reason: "AddedInterface", message: "added net1" } as const;
  const events = async () =>
    (
      await cluster.kubectlJson<{ readonly items: readonly { readonly count: number }[] }>(
        "-n",
        namespace.name,
        "get",
        "events",
        "--field-selector=involvedObject.name=told,reason=AddedInterface",
      )
    ).items;
  recorder.record(pod, facts);
  await eventually("the event is there", async () => (await events())[0]);
  aheadMs = 61_000;
  recorder.record(pod, facts);
  await eventually("the event is counted", async () => (await events()).find(({ count }) => count === 2));
  expect(await events()).toHaveLength(1);
});

test("a network definition is read when it is there", async () => {
  const definitions = createDefinitionReader({ client });
  const read = () => definitions.netAttachDef(namespace.name, "blue", signal);
  expect(await read()).toBeUndefined();
  await cluster.apply({
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { namespace: namespace.name, name: "blue" },
    spec: { config: '{"type":"bridge"}' },
  });
  expect(await read()).toMatchObject({ name: "blue", config: '{"type":"bridge"}' });
});

test("a Network of Kaloom's is read when it is there", async () => {
  const definitions = createDefinitionReader({ client });
  const read = () => definitions.kaloomNetwork(namespace.name, "blue", signal);
  await cluster.apply(kaloomNetworks);
  await kubectl("wait", "--for=condition=Established", "crd/networks.kaloom.com");
  expect(await read()).toBeUndefined();
  const network = {
    apiVersion: "kaloom.com/v1",
    kind: "Network",
    metadata: { namespace: namespace.name, name: "blue" },
    spec: { plugin: "bridge", config: '{"bridge":"br0"}' },
  };
  // Known to the API server a moment before it serves them.
  await eventually("the Network is taken", async () => {
    await cluster.apply(network);
    return true;
  });
  expect(await read()).toMatchObject({ name: "blue", plugin: "bridge", config: '{"bridge":"br0"}' });
});

test("what the agent's account may not do is PRIVILEGE_MISSING, with the API server's words", async () => {
  const call = { path: `/api/v1/namespaces/${namespace.name}/secrets`, doing: "listing secrets" };
  await expect(client.call(call, signal)).rejects.toEqual(
    failure("PRIVILEGE_MISSING", "system:serviceaccount:podplug:podplug-agent"),
  );
});

test("a list not older than a version is answered, and one from the future refused as for now", async () => {
  const list = async (resourceVersion: string) => {
    const query = `fieldSelector=spec.nodeName=lab&resourceVersionMatch=NotOlderThan&resourceVersion=${resourceVersion}`;
    const accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
    return await client.call({ path: `/api/v1/pods?${query}`, accept, doing: "listing pods" }, signal);
  };
  const { resourceVersion } = await startPod("listed");
  expect(await list(resourceVersion)).toMatchObject({ body: { kind: "PartialObjectMetadataList" } });
  await expect(list("999999999")).rejects.toEqual(failure("UNREACHABLE", "Too large resource version"));
});

/** The kind of object, as Kaloom's installation defines it. */
const kaloomNetworks = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "networks.kaloom.com" },
  spec: {
    group: "kaloom.com",
    scope: "Namespaced",
    names: { plural: "networks", singular: "network", kind: "Network", shortNames: ["net"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: { plugin: { type: "string" }, config: { type: "string" } },
              },
            },
          },
        },
      },
    ],
  },
};
