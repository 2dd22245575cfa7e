import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { messageOf } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createKubeAccess } from "../../src/kube/access.ts";
import { createApiClient } from "../../src/kube/api-client.ts";
import { startClusterAgent } from "./support/agent.ts";
import { eventually, type TestNamespace, useCluster } from "./support/cluster.ts";
import { kustomizations } from "./support/manifests.ts";
import { type Pod, podExec, podManifest, readyPod } from "./support/pods.ts";

const cluster = useCluster();
const policy = join(kustomizations, "components/admission-policy/admission-policy.yaml");
const statusAnnotation = "k8s.v1.cni.cncf.io/network-status";
const cleanup = new AsyncDisposableStack();
let namespace: TestNamespace;
/** Of the agent, bound to node `lab`. */
let kubeconfig: string;

beforeAll(async () => {
  namespace = cleanup.use(await cluster.makeNamespace());
  const elsewhere = podManifest(namespace.name, "elsewhere");
  await cluster.apply(
    // A node without a kubelet: what is bound to it stays so.
    { apiVersion: "v1", kind: "Node", metadata: { name: "other" } },
    podManifest(namespace.name, "here"),
    { ...elsewhere, spec: { ...elsewhere.spec, nodeName: "other" } },
  );
  cleanup.defer(async () => {
    await cluster.kubectl("-n", namespace.name, "delete", "pod", "elsewhere", "--force");
    await cluster.kubectl("delete", "node", "other");
  });
  await readyPod(cluster, namespace.name, "here");
  await cluster.kubectl("apply", "-f", policy);
  cleanup.defer(async () => {
    await cluster.kubectl("delete", "-f", policy);
  });
  kubeconfig = (await cluster.agentKubeconfig("its node")).path;
  await eventually("the policy is in force", async () => {
    const answer = await patchBy(
      kubeconfig,
      "elsewhere",
      annotating({ [statusAnnotation]: "[]" }),
      "?dryRun=All",
    );
    return answer.includes("own node only") ? true : undefined;
  });
});

afterAll(() => cleanup.disposeAsync());

const annotating = (annotations: Readonly<Record<string, string | null>>): object => ({
  metadata: { annotations },
});

/** `patched`, or why not; kubectl would read the status first, which an agent may not. */
async function patchBy(path: string, pod: string, patch: object, query = ""): Promise<string> {
  using access = await createKubeAccess({ kind: "kubeconfig", path });
  const client = createApiClient({ access, clock: systemClock });
  const url = `/api/v1/namespaces/${namespace.name}/pods/${pod}/status${query}`;
  const body = { type: "application/merge-patch+json", content: patch };
  try {
    await client.call({ method: "PATCH", path: url, body, doing: "patching" }, neverAborted);
    return "patched";
  } catch (error) {
    return messageOf(error);
  }
}

describe("with the policy, an agent", () => {
  test("plugs and publishes in the pods of its own node", async () => {
    await using agent = await startClusterAgent(cluster, { config: { controller: { kubeconfig } } });
    await cluster.apply(agent.bridgeDefinition(namespace.name, "data"));
    const annotate = (networks: string): Promise<string> =>
      cluster.kubectl(
        "-n",
        namespace.name,
        "annotate",
        "--overwrite",
        "pod",
        "here",
        `k8s.v1.cni.cncf.io/networks=${networks}`,
      );
    const statusWith = (count: number): Promise<unknown> =>
      eventually(`${count} networks in the pod's status`, async () => {
        const pod = await cluster.kubectlJson<Pod>("-n", namespace.name, "get", "pod", "here");
        const entries = JSON.parse(pod.metadata.annotations?.[statusAnnotation] ?? "[]") as readonly object[];
        return entries.length === count ? entries : undefined;
      });
    await annotate("data");
    await statusWith(2);
    await annotate("data,data");
    await statusWith(3);
    await annotate("");
    await statusWith(1);
  });

  test("may not write to the pods of another node", async () => {
    const status = annotating({ [statusAnnotation]: "[]" });
    expect(await patchBy(kubeconfig, "elsewhere", status)).toContain(
      "podplug's agent on lab may write to pods of its own node only",
    );
  });

  test.each([
    ["another annotation", annotating({ "k8s.v1.cni.cncf.io/networks": "data" }), "the annotation"],
    ["an annotation beside its own", annotating({ [statusAnnotation]: "[]", other: "x" }), "the annotation"],
    ["an annotation's removal", annotating({ "k8s.v1.cni.cncf.io/networks": null }), "the annotation"],
    ["a label", { metadata: { labels: { app: "other" } } }, "change nothing of a pod but"],
    ["a finalizer", { metadata: { finalizers: ["example.com/kept"] } }, "change nothing of a pod but"],
    ["the pod's phase", { status: { phase: "Failed" } }, "change nothing of a pod but"],
    [
      "the pod's address",
      { status: { podIP: "10.0.0.1", podIPs: [{ ip: "10.0.0.1" }] } },
      "change nothing of a pod but",
    ],
  ])("may not write %s", async (_what, patch, why) => {
    expect(await patchBy(kubeconfig, "here", patch)).toContain(why);
  });

  test("is known by the token that the kubelet gave to its pod", async () => {
    const pod = podManifest("podplug", "as-the-agent");
    await cluster.apply({ ...pod, spec: { ...pod.spec, serviceAccountName: "podplug-agent" } });
    try {
      const running = await readyPod(cluster, "podplug", "as-the-agent");
      const file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
      const path = await cluster.kubeconfigWith((await podExec(cluster, running, "cat", file)).trim());
      const status = annotating({ [statusAnnotation]: "[]" });
      expect(await patchBy(path, "here", status)).toBe("patched");
      expect(await patchBy(path, "elsewhere", status)).toContain("own node only");
    } finally {
      await cluster.kubectl("-n", "podplug", "delete", "pod", "as-the-agent", "--grace-period=1");
    }
  });

  test("is refused with a token that is bound to no node, and told what to do", async () => {
    const { path } = await cluster.agentKubeconfig();
    expect(await patchBy(path, "here", annotating({ [statusAnnotation]: "[]" }))).toContain(
      "kubectl create token --bound-object-kind Node",
    );
  });
});

test("with the policy, others write to pods as before", async () => {
  const patch = annotating({ "example.com/mine": "x" });
  expect(await patchBy(cluster.kubeconfigPath, "elsewhere", patch)).toBe("patched");
});
