import { PodplugError } from "../../domain/errors.ts";
import type { AnnotatedCluster, Cluster, ObjectKey } from "../../kube/cluster-contract.ts";
import { defaultAgentNamespace } from "../cluster/agents.ts";
import type { CliIo } from "./io.ts";
import {
  type AgentFlags,
  addAgentOptions,
  authorityConfigMap,
  type ClusterFlags,
  defaultAccount,
} from "./options/cluster.ts";
import type { ScopeFlags } from "./options/target.ts";
import type { Surface } from "./surface.ts";

/** With the user's own kubeconfig. INVALID_CONFIGURATION when there is none. */
export type OpenCluster = (where: ClusterFlags) => Promise<AnnotatedCluster>;

/** Long enough for any command's calls. One that watches for longer ends as its token does. */
const tokenLifetimeSeconds = 3600;

/** `kubectl podplug`: the agents of a cluster. */
export function createClusterSurface(openCluster: OpenCluster): Surface {
  return {
    program: "kubectl podplug",
    targets: "pods",
    defaultNamespace: "the context's",
    addConnectionOptions: addAgentOptions,
    async reach({ flags, io, signal, onFailure }) {
      const given = flags as AgentFlags & ScopeFlags;
      await using opened = new AsyncDisposableStack();
      const cluster = opened.use(await openCluster(given));
      const namespace = given.namespace ?? cluster.namespace;
      const { createClusterClient } = await import("../cluster/cluster-client.ts");
      const api = createClusterClient({
        cluster,
        ...(await credentialsOf(given, cluster, namespace, io)),
        ...(await authorityOf(given, cluster, signal)),
        agentNamespace: given.agentNamespace,
        agentPort: given.agentPort,
        direct: given.direct,
        tlsServerName: given.tlsServerName,
        timeoutMs: given.timeout,
        namespace: given.allNamespaces === true ? undefined : namespace,
        onFailure,
      });
      opened.use(api);
      const held = opened.move();
      return { api, namespace, [Symbol.asyncDispose]: () => held.disposeAsync() };
    },
  };
}

/** Never the kubeconfig's own: an agent is a node's, and no node is to have what the API server takes. */
async function credentialsOf(flags: AgentFlags, cluster: Cluster, namespace: string, io: CliIo) {
  const { serviceAccount, tokenFile, clientCert, clientKey } = flags;
  const isGiven = tokenFile !== undefined || clientCert !== undefined || clientKey !== undefined;
  if (isGiven && serviceAccount !== undefined) {
    throw new PodplugError(
      "INVALID_CONFIGURATION",
      "--service-account excludes --token-file, --client-cert and --client-key",
    );
  }
  if (isGiven) return { tokenFile, clientCertFile: clientCert, clientKeyFile: clientKey };
  const { createServiceTokens } = await import("../cluster/service-token.ts");
  const account = accountOf(serviceAccount ?? defaultAccount, namespace);
  const lifetimeSeconds = tokenLifetimeSeconds;
  return { token: createServiceTokens({ cluster, account, lifetimeSeconds, clock: io.clock }) };
}

/** `NAME` or `NAMESPACE/NAME`. */
function accountOf(text: string, home: string): ObjectKey {
  const [first = "", second, ...rest] = text.split("/");
  if (rest.length > 0 || first === "" || second === "") {
    throw new PodplugError(
      "INVALID_CONFIGURATION",
      `--service-account ${JSON.stringify(text)} isn't NAME or NAMESPACE/NAME`,
    );
  }
  return second === undefined ? { namespace: home, name: first } : { namespace: first, name: second };
}

async function authorityOf(
  { ca, agentNamespace: namespace = defaultAgentNamespace }: AgentFlags,
  cluster: Cluster,
  signal: AbortSignal,
) {
  if (ca !== undefined) return { caFile: ca };
  const { name, entry } = authorityConfigMap;
  const pem = await cluster.configValue({ namespace, name }, entry, signal);
  if (pem !== undefined) return { ca: pem };
  throw new PodplugError(
    "INVALID_CONFIGURATION",
    `ConfigMap ${namespace}/${name} doesn't tell who signs the agents' certificates (${entry}): make it, or give --ca FILE`,
  );
}
