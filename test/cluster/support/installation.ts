import { join } from "node:path";
import { createNodeClient, type NodeClient } from "../../../src/client/node-client.ts";
import { type Cluster, eventually, run } from "./cluster.ts";
import { renderKustomization } from "./manifests.ts";
import type { Pod } from "./pods.ts";

/** podplug as its manifests install it, for the cluster's node. */
export interface Installation extends AsyncDisposable {
  /** From its container's start to its pod that is ready, as the API server has it: in whole seconds. */
  readonly readySeconds: number;
  /** Speaks to the agent on the node. */
  readonly client: NodeClient;
  /** The agent's pod, once there is one, ready, and none that goes. */
  pod(): Promise<Pod>;
  kubectl(...args: readonly string[]): Promise<string>;
  /** The PID of the agent, as the node has it. */
  pid(): Promise<number>;
  /** Deletes every object of it and waits for their end. */
  remove(): Promise<void>;
}

export interface InstallationOptions {
  readonly components?: readonly string[];
  readonly configuration?: object;
}

const root = join(import.meta.dirname, "../../..");

/** With the lane's own places of CNI, and `configuration`. */
export async function install(cluster: Cluster, options: InstallationOptions = {}): Promise<Installation> {
  const { binDir, confDir } = cluster.cni;
  const manifests = await renderKustomization(cluster, "base", options.components, {
    cni: { binDirs: [binDir], confDir },
    ...options.configuration,
  });
  const kubectl = (...args: readonly string[]): Promise<string> => cluster.kubectl("-n", "podplug", ...args);
  const apply = ["--kubeconfig", cluster.kubeconfigPath, "apply", "-f", "-"];
  await run("kubectl", apply, manifests);
  await kubectl("rollout", "status", "daemonset", "podplug-agent", "--timeout=120s");
  const client = createNodeClient({ server: "unix:///run/podplug/podplug.sock" });

  async function pod(): Promise<Pod> {
    return await eventually("one agent, ready", async () => {
      const selector = "app.kubernetes.io/component=agent";
      const { items } = JSON.parse(await kubectl("get", "pods", "-l", selector, "-o", "json")) as {
        readonly items: readonly Pod[];
      };
      const [only, another] = items;
      const ready = only?.status.conditions?.some(
        ({ type, status }) => type === "Ready" && status === "True",
      );
      return ready && !another ? only : undefined;
    });
  }

  async function secondsUntilReady(): Promise<number> {
    const { conditions, containerStatuses: [agent] = [] } = (await pod()).status;
    const ready = conditions?.find(({ type }) => type === "Ready");
    const from = Date.parse(agent?.state?.running?.startedAt ?? "");
    return (Date.parse(ready?.lastTransitionTime ?? "") - from) / 1000;
  }

  let removed = false;
  async function remove(): Promise<void> {
    removed = true;
    const list = ["--kubeconfig", cluster.kubeconfigPath, "delete", "--ignore-not-found", "-f", "-"];
    await run("kubectl", list, manifests);
    // The cluster's other tests have agents with the rights of this one.
    await cluster.kubectl("apply", "-f", join(root, "deploy/rbac.yaml"));
  }

  return {
    readySeconds: await secondsUntilReady(),
    client,
    pod,
    kubectl,
    async pid() {
      const [status] = (await pod()).status.containerStatuses ?? [];
      const id = status?.containerID?.replace("containerd://", "") ?? "";
      const tasks = await run("ctr", ["-n", "k8s.io", "tasks", "list"]);
      return Number(
        tasks
          .split("\n")
          .find((line) => line.startsWith(id))
          ?.split(/\s+/)[1],
      );
    },
    remove,
    async [Symbol.asyncDispose]() {
      await client.close();
      if (!removed) await remove();
    },
  };
}
