import { onTestFinished } from "vitest";
import { type ClusterClientOptions, createClusterClient } from "../../src/client/cluster/cluster-client.ts";
import { createServiceTokens } from "../../src/client/cluster/service-token.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { openCluster } from "../../src/kube/cluster.ts";
import type { Credential } from "../../src/server/auth/contract.ts";
import { createClusterWorld, podPath } from "../kube/cluster-world.ts";
import { authority, startTlsServer } from "../server/tls-server.ts";

export const agentLabels = { "app.kubernetes.io/name": "podplug", "app.kubernetes.io/component": "agent" };
export const account = { namespace: "demo", name: "podplug-client" };
export const podOf = (name: string) => ({ kind: "pod", pod: { namespace: "demo", name } }) as const;

/** A cluster of two nodes, each with an agent behind its pod's port, and a pod of namespace demo on each. */
export async function createTwoAgents(options: Partial<ClusterClientOptions> = {}) {
  const world = await createClusterWorld();
  onTestFinished(() => world[Symbol.asyncDispose]());
  const shown: string[] = [];
  const anyToken: Credential = async ({ headers }) => {
    const token = headers.get("authorization")?.replace("Bearer ", "");
    if (token === undefined) return undefined;
    shown.push(token);
    return { name: "caller", reconciler: false, by: "token", groups: [], extra: {} };
  };
  const agents = await Promise.all([1, 2].map(() => startTlsServer({ credentials: [anyToken] })));
  for (const [index, { port, node }] of agents.entries()) {
    const key = `podplug/agent-${index + 1}`;
    world.setPod(key, { labels: agentLabels }, { nodeName: `node-${index + 1}` });
    world.server.ports.set(`${podPath(key)}:7654`, port);
    for (const name of ["web", "db"]) node.addTarget(podOf(name));
  }
  world.setPod("demo/web", {}, { nodeName: "node-1" });
  world.setPod("demo/db", {}, { nodeName: "node-2" });
  world.server.put("/api/v1/namespaces/demo/serviceaccounts/podplug-client", {
    metadata: { ...account, uid: "account", resourceVersion: "1" },
  });
  const cluster = await openCluster({ kind: "kubeconfig", path: await world.writeKubeconfig() }, systemClock);
  onTestFinished(() => cluster[Symbol.dispose]());
  const client = createClusterClient({
    cluster,
    token: createServiceTokens({ cluster, account, lifetimeSeconds: 600, clock: systemClock }),
    ca: authority.cert,
    tlsServerName: "127.0.0.1",
    ...options,
  });
  onTestFinished(() => client.close());
  const [first, second] = agents;
  if (first === undefined || second === undefined) throw new Error("there are two agents");
  return { ...world, client, cluster, first, second, shown };
}
