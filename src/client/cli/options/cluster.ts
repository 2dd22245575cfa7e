import { type Command, InvalidArgumentError, Option } from "commander";
import { defaultAgentNamespace, defaultAgentPort, defaultServerName } from "../../cluster/agents.ts";
import { addTimeoutOption } from "./connection.ts";

/** Which cluster, as kubectl's own flags say it. */
export interface ClusterFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
}

/** How the cluster's agents are reached, and who they are told is calling. */
export interface AgentFlags extends ClusterFlags {
  readonly direct?: boolean;
  readonly agentNamespace?: string;
  readonly agentPort?: number;
  readonly serviceAccount?: string;
  readonly tokenFile?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly ca?: string;
  readonly tlsServerName?: string;
  readonly timeout: number;
}

export const defaultAccount = "podplug-client";
/** Where the authority of the agents' certificates is told to everybody. */
export const authorityConfigMap = { name: "podplug-ca", entry: "ca.crt" } as const;

export function addClusterOptions(command: Command): Command {
  return command
    .optionsGroup("Cluster:")
    .option("--kubeconfig <file>", "the kubeconfig file (default: $KUBECONFIG, then ~/.kube/config)")
    .option("--context <name>", "a context of the kubeconfig (default: the current one)");
}

export function addAgentOptions(command: Command): Command {
  return addTimeoutOption(
    addClusterOptions(command)
      .optionsGroup("Agents:")
      .option("--direct", "to the nodes' addresses, instead of through the API server (port-forward)")
      .addOption(
        new Option("--agent-namespace <namespace>", "where the agents' pods are").default(
          defaultAgentNamespace,
        ),
      )
      .addOption(
        new Option("--agent-port <port>", "the port of their API")
          .argParser(parsePort)
          .default(defaultAgentPort),
      )
      .option(
        "--service-account <account>",
        `call as this service account, by a token requested for podplug alone: NAME or NAMESPACE/NAME (default: ${defaultAccount} in the namespace)`,
      )
      .option("--token-file <file>", "a bearer token made for audience podplug, instead of requesting one")
      .option("--client-cert <file>", "a client certificate instead of a token, PEM")
      .option("--client-key <file>", "the client certificate's key, PEM")
      .option(
        "--ca <file>",
        `authorities that may have signed the agents' certificates, PEM (default: ConfigMap ${authorityConfigMap.name} beside the agents)`,
      )
      .addOption(
        new Option("--tls-server-name <name>", "name that the agents' certificates have").default(
          defaultServerName,
        ),
      ),
  );
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new InvalidArgumentError("Use a port from 1 to 65535.");
  return port;
}
