import { type ClusterClient, createClusterClient } from "podplug";

/**
 * In a pod by its service account and a token projected for podplug; elsewhere
 * by a kubeconfig, and a token that is requested.
 */
export async function connectCluster(): Promise<ClusterClient> {
  const { KUBECONFIG, PODPLUG_CA, PODPLUG_TOKEN, PODPLUG_PORT, PODPLUG_SERVER_NAME } = process.env;
  return await createClusterClient({
    kube: KUBECONFIG === undefined ? { inCluster: true } : { kubeconfig: KUBECONFIG },
    // Read anew at each use: the kubelet renews it.
    ...(PODPLUG_TOKEN === undefined
      ? { serviceAccount: { namespace: "vnf", name: "orchestrator" } }
      : { tokenFile: PODPLUG_TOKEN }),
    caFile: PODPLUG_CA ?? "/var/run/podplug/ca.crt",
    // The nodes' addresses are within a pod's reach: no need to go through the API server.
    direct: true,
    tlsServerName: PODPLUG_SERVER_NAME,
    agentPort: Number(PODPLUG_PORT ?? 7654),
    timeoutMs: 30_000,
  });
}
