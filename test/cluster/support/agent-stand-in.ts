import { type Cluster, eventually } from "./cluster.ts";
import { podManifest } from "./pods.ts";

/**
 * A pod in the node's network with the labels of the DaemonSet's: what listens
 * on the node is reached through it, as an agent in such a pod would be.
 */
export async function startAgentStandIn(cluster: Cluster, name: string): Promise<AsyncDisposable> {
  const labels = { "app.kubernetes.io/name": "podplug", "app.kubernetes.io/component": "agent" };
  const { spec, ...manifest } = podManifest("podplug", name, { labels });
  await cluster.apply({ ...manifest, spec: { ...spec, hostNetwork: true } });
  await eventually(`pod podplug/${name} is ready`, async () => {
    const conditions = await cluster.kubectl(
      "-n",
      "podplug",
      "get",
      "pod",
      name,
      "-o",
      'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
    );
    return conditions === "True" ? true : undefined;
  });
  return {
    async [Symbol.asyncDispose]() {
      await cluster.kubectl("-n", "podplug", "delete", "pod", name, "--grace-period=1");
    },
  };
}
