import { isIPv6 } from "node:net";
import { PodplugError } from "../../domain/errors.ts";
import type { AgentPod, Cluster, ObjectKey } from "../../kube/cluster-contract.ts";
import type { ConnectionOptions } from "../connection.ts";
import { createNodeClient, type NodeClient } from "../node-client.ts";

/** The name that the certificates of all agents are made for (docs/security.md). */
export const defaultServerName = "podplug.node";
export const defaultAgentNamespace = "podplug";
const defaultLabels = "app.kubernetes.io/name=podplug,app.kubernetes.io/component=agent";
export const defaultAgentPort = 7654;

/** Where a cluster's agents are, and how they are reached and recognised. */
export interface AgentsOptions extends Omit<ConnectionOptions, "tunnel" | "controllerKeyFile"> {
  readonly cluster: Cluster;
  /** Of the agents' pods; `podplug` when absent. */
  readonly agentNamespace?: string | undefined;
  /** What the agents' pods have, as a label selector; `app.kubernetes.io/name=podplug,app.kubernetes.io/component=agent` when absent. */
  readonly agentLabels?: string | undefined;
  /** Of each agent's API; 7654 when absent. */
  readonly agentPort?: number | undefined;
  /** To the node's address instead of through the API server. */
  readonly direct?: boolean | undefined;
  /** How long each call to an agent may take, in milliseconds. */
  readonly timeoutMs?: number | undefined;
}

/** One agent of the cluster. */
export interface Agent {
  readonly nodeName: string;
  readonly client: NodeClient;
}

/** Finds agents and keeps one connection to each. */
export interface Agents extends AsyncDisposable {
  /** TARGET_NOT_FOUND without such a pod, SANDBOX_NOT_READY before it is scheduled, AGENT_NOT_FOUND. */
  ofPod(pod: ObjectKey, signal: AbortSignal): Promise<Agent>;
  /** AGENT_NOT_FOUND when none runs there. */
  ofNode(nodeName: string, signal: AbortSignal): Promise<Agent>;
  /** Of the nodes where this namespace has pods; of every node without one. AGENT_NOT_FOUND when there is none at all. */
  all(namespace: string | undefined, signal: AbortSignal): Promise<FoundAgents>;
}

export interface FoundAgents {
  readonly agents: readonly Agent[];
  /** AGENT_NOT_FOUND, for each node that has such pods and no agent. */
  readonly missing: readonly PodplugError[];
}

export function createAgents(options: AgentsOptions): Agents {
  const {
    cluster,
    agentNamespace: namespace = defaultAgentNamespace,
    agentLabels: labels = defaultLabels,
  } = options;
  const clients = new Map<string, NodeClient>();

  function connect(pod: AgentPod): Agent {
    const client = clients.get(pod.name) ?? createNodeClient(connectionTo(pod, options));
    clients.set(pod.name, client);
    return { nodeName: pod.nodeName, client };
  }

  function absent(where: string): PodplugError {
    const message = `no agent of podplug runs on ${where} (no pod with ${labels} in namespace ${namespace})`;
    return new PodplugError("AGENT_NOT_FOUND", message);
  }

  async function ofNode(nodeName: string, signal: AbortSignal): Promise<Agent> {
    const [agent] = await cluster.agents({ namespace, labels, nodeName }, signal);
    if (agent === undefined) throw absent(`node ${nodeName}`);
    return connect(agent);
  }

  return {
    ofNode,
    async ofPod(key, signal) {
      const pod = await cluster.pod(key, signal);
      if (pod === undefined)
        throw new PodplugError("TARGET_NOT_FOUND", `there is no pod ${key.namespace}/${key.name}`);
      if (pod.nodeName === undefined) {
        throw new PodplugError("SANDBOX_NOT_READY", `pod ${key.namespace}/${key.name} isn't on a node yet`);
      }
      return ofNode(pod.nodeName, signal);
    },
    async all(podNamespace, signal) {
      const found = await cluster.agents({ namespace, labels }, signal);
      if (found.length === 0) throw absent("any node");
      if (podNamespace === undefined) return { agents: found.map(connect), missing: [] };
      const pods = await cluster.pods(podNamespace, signal);
      const nodes = new Set(pods.flatMap(({ nodeName }) => nodeName ?? []));
      const agents = found.filter(({ nodeName }) => nodes.has(nodeName));
      const served = new Set(agents.map(({ nodeName }) => nodeName));
      const missing = [...nodes].filter((node) => !served.has(node)).map((node) => absent(`node ${node}`));
      return { agents: agents.map(connect), missing };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}

function connectionTo(agent: AgentPod, options: AgentsOptions) {
  const {
    cluster,
    agentPort: port = defaultAgentPort,
    direct = false,
    tlsServerName = defaultServerName,
  } = options;
  const { nodeName, namespace, name, address } = agent;
  const describes = direct
    ? `the agent of node ${nodeName} (${address}:${port})`
    : `the agent of node ${nodeName} (pod ${namespace}/${name})`;
  const { token, tokenFile, clientCertFile, clientKeyFile, ca, caFile, timeoutMs } = options;
  const host = direct ? address : tlsServerName;
  return {
    token,
    tokenFile,
    clientCertFile,
    clientKeyFile,
    ca,
    caFile,
    timeoutMs,
    server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
    tlsServerName,
    describes,
    tunnel: direct ? undefined : () => cluster.openPort(agent, port),
  };
}
