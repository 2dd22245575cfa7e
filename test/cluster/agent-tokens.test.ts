import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { messageOf } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createKubeAccess } from "../../src/kube/access.ts";
import { createApiClient } from "../../src/kube/api-client.ts";
import { root } from "../client/cli-process.ts";
import { eventually, run, useCluster } from "./support/cluster.ts";
import { renderComponents } from "./support/manifests.ts";
import { podExec, podManifest, readyPod } from "./support/pods.ts";

/* What tokens the agents' account may ask for, once a node has used podplug-kubeconfig. */

const cluster = useCluster();
const cleanup = new AsyncDisposableStack();
const week = 604_800;
const boundTo = (kind: string, name: string): object => ({ apiVersion: "v1", kind, name });
const otherNode = { boundObjectRef: boundTo("Node", "other") };
/** Of the agent, bound to node `lab`. */
let kubeconfig: string;

beforeAll(async () => {
  const rights = join(root, "deploy/systemd/token-rbac.yaml");
  const policy = await renderComponents(cluster, ["admission-policy"]);
  await cluster.apply({ apiVersion: "v1", kind: "Node", metadata: { name: "other" } });
  cleanup.defer(async () => {
    await cluster.kubectl("delete", "node", "other");
  });
  await cluster.kubectl("apply", "-f", rights);
  cleanup.defer(async () => {
    await cluster.kubectl("delete", "-f", rights);
  });
  kubeconfig = (await cluster.agentKubeconfig("its node")).path;
  // Without the policy the right is for tokens of every kind: what is refused below is refused by it.
  await eventually("the right to ask for tokens", async () =>
    (await askBy(kubeconfig, otherNode)) === "given" ? true : undefined,
  );
  const admin = ["--kubeconfig", cluster.kubeconfigPath];
  await run("kubectl", [...admin, "apply", "-f", "-"], policy);
  cleanup.defer(async () => {
    await run("kubectl", [...admin, "delete", "-f", "-"], policy);
  });
  await eventually("the policy is in force", async () =>
    (await askBy(kubeconfig, otherNode)) === "given" ? undefined : true,
  );
});
afterAll(() => cleanup.disposeAsync());

/** `given`, or why not. */
async function askBy(path: string, spec: object): Promise<string> {
  using access = await createKubeAccess({ kind: "kubeconfig", path });
  const client = createApiClient({ access, clock: systemClock });
  const url = "/api/v1/namespaces/podplug/serviceaccounts/podplug-agent/token";
  const content = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
  const body = { type: "application/json", content };
  try {
    await client.call({ method: "POST", path: url, body, doing: "asking" }, neverAborted);
    return "given";
  } catch (error) {
    return messageOf(error);
  }
}

describe("with the policy, an agent", () => {
  const own = { boundObjectRef: boundTo("Node", cluster.nodeName) };

  test("gets the next token for its own node, for a week or less", async () => {
    expect(await askBy(kubeconfig, own)).toBe("given");
    expect(await askBy(kubeconfig, { ...own, expirationSeconds: week })).toBe("given");
  });

  test.each([
    ["for another node", otherNode, "bound to its own node only"],
    ["bound to nothing", { expirationSeconds: 3600 }, "bound to its own node only"],
    ["bound to a pod", { boundObjectRef: boundTo("Pod", cluster.nodeName) }, "bound to its own node only"],
    ["good for longer", { ...own, expirationSeconds: week + 1 }, "good for a week at most"],
  ])("gets none that is %s", async (_what, spec, why) => {
    expect(await askBy(kubeconfig, spec)).toContain(`podplug's agent may ask for tokens that are ${why}`);
  });

  test("that is bound to no node gets none at all", async () => {
    const { path } = await cluster.agentKubeconfig();
    expect(await askBy(path, own)).toContain("bound to its own node only");
  });

  test("that is a pod gets none for another node than its own", async () => {
    const pod = podManifest("podplug", "asks-for-tokens");
    await cluster.apply({ ...pod, spec: { ...pod.spec, serviceAccountName: "podplug-agent" } });
    try {
      const running = await readyPod(cluster, "podplug", "asks-for-tokens");
      const file = "/var/run/secrets/kubernetes.io/serviceaccount/token";
      const path = await cluster.kubeconfigWith((await podExec(cluster, running, "cat", file)).trim());
      expect(await askBy(path, otherNode)).toContain("bound to its own node only");
      expect(await askBy(path, own)).toBe("given");
    } finally {
      await cluster.kubectl("-n", "podplug", "delete", "pod", "asks-for-tokens", "--grace-period=1");
    }
  });
});

test("with the policy, an administrator gets tokens as before", async () => {
  expect(await askBy(cluster.kubeconfigPath, { expirationSeconds: 2 * week })).toBe("given");
});
