import { readdir } from "node:fs/promises";
import { beforeAll, expect, test } from "vitest";
import { eventually, type TestNamespace, useCluster } from "./support/cluster.ts";
import {
  deploymentManifest,
  type Pod,
  podExec,
  podManifest,
  podSandbox,
  readyPod,
  readyPods,
} from "./support/pods.ts";

const cluster = useCluster();
let namespace: TestNamespace;
let pods: readonly Pod[];

beforeAll(async () => {
  namespace = await cluster.makeNamespace();
  return () => namespace[Symbol.asyncDispose]();
});

test("a Deployment of two replicas becomes ready", async () => {
  await cluster.apply(deploymentManifest(namespace.name, "pair", 2));
  pods = await readyPods(cluster, namespace.name, "app=pair", 2);
  const { status } = await cluster.kubectlJson<{ readonly status: object }>(
    "-n",
    namespace.name,
    "get",
    "deployment",
    "pair",
  );
  expect(pods.map((pod) => pod.status.phase)).toEqual(["Running", "Running"]);
  expect(status).toMatchObject({ replicas: 2, updatedReplicas: 2 });
});

test("their containers reach each other", async () => {
  for (const [from, to] of [pods, pods.toReversed()] as const) {
    if (from === undefined || to === undefined) throw new Error("the pods are not there");
    const answer = await podExec(cluster, from, "ping", "-c", "1", "-W", "5", to.status.podIP ?? "");
    expect(answer).toContain("1 packets received");
  }
});

test("a pod's network namespace on the node holds the pod's address and its lease", async () => {
  const leases = await readdir(`${cluster.cni.leasesDir}/cluster`);
  for (const pod of pods) {
    const sandbox = await podSandbox(pod);
    expect(await sandbox.run("ip", "-br", "address", "show", "dev", "eth0")).toContain(pod.status.podIP);
    expect(leases).toContain(pod.status.podIP);
  }
});

test("a port of the node leads to the pod that asked for it", async () => {
  const name = "host-port";
  const command = ["nc", "-ll", "-p", "80", "-e", "echo", "through"];
  const ports = [{ containerPort: 80, hostPort: 18080 }];
  await cluster.apply(podManifest(namespace.name, name, { command, ports }));
  await readyPod(cluster, namespace.name, name);
  const [pod] = pods;
  if (pod === undefined) throw new Error("the pods are not there");
  // Ready is what runs, not yet what listens.
  const answer = await eventually("an answer of the port", () =>
    podExec(cluster, pod, "nc", "-w", "5", cluster.nodeAddress, "18080"),
  );
  expect(answer).toBe("through\n");
});

test("podplug's service account may do what the agent does, and no more", async () => {
  const { path } = await cluster.agentKubeconfig();
  const may = async (action: string) => {
    const [verb = "", resource = "", subresource = ""] = action.split(/[ /]/);
    const question = ["auth", "can-i", verb, resource, `--subresource=${subresource}`, "-n", namespace.name];
    // Says no with exit code 1.
    const answer = await cluster.kubectl("--kubeconfig", path, ...question).catch(String);
    return answer.trim() === "yes";
  };
  const definitions = "network-attachment-definitions.k8s.cni.cncf.io";
  const networks = "networks.kaloom.com";
  const allowed = [
    "get pods",
    "list pods",
    "watch pods",
    "patch pods/status",
    "create events",
    "patch events",
    `get ${definitions}`,
    `get ${networks}`,
  ];
  const asked = [
    ...allowed,
    "patch pods",
    "update pods/status",
    "delete pods",
    "create pods/exec",
    `list ${definitions}`,
    `list ${networks}`,
    `patch ${networks}`,
    "get secrets",
    "get nodes",
  ];
  const granted: string[] = [];
  for (const action of asked) if (await may(action)) granted.push(action);
  expect(granted).toEqual(allowed);
});
