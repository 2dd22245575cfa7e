import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createNodeClient, type NodeClient } from "../../../src/client/node-client.ts";
import { type AgentProgram, readableLog, startAgentProgram } from "../../agent/agent-program.ts";
import { type Cluster, eventually } from "./cluster.ts";

/** podplug on the cluster's node, as a DaemonSet would run it, with networks of a test's own. */
export interface ClusterAgent extends AsyncDisposable {
  readonly client: NodeClient;
  readonly folder: string;
  readonly configFile: string;
  /** Where it serves. */
  readonly server: string;
  /** The one that runs now. */
  readonly program: AgentProgram;
  /** Starts another one on the same state; end the present one first. */
  start(): Promise<void>;
  /** Of the networks that `bridgeDefinition` makes: the leased addresses. */
  leases(): Promise<readonly string[]>;
  /** A NetworkAttachmentDefinition of a bridge with addresses of this agent's test, and more plugins after it. */
  bridgeDefinition(namespace: string, name: string, options?: BridgeOptions): object;
}

export interface BridgeOptions {
  readonly capabilities?: Readonly<Record<string, boolean>>;
  readonly subnet?: string;
  readonly chained?: readonly object[];
}

export async function startClusterAgent(
  cluster: Cluster,
  options: {
    readonly binDirs?: readonly string[];
    readonly config?: object;
    /** Of the configuration's section `api`, beside the socket. */
    readonly api?: object;
    /** `server` leaves the controller to another process. */
    readonly command?: "agent" | "server";
  } = {},
): Promise<ClusterAgent> {
  const folder = await cluster.makeFolder();
  const { path } = await cluster.agentKubeconfig();
  const configFile = join(folder, "podplug.json");
  const socket = join(folder, "podplug.sock");
  const leases = join(folder, "leases");
  await writeFile(
    configFile,
    JSON.stringify({
      nodeName: cluster.nodeName,
      api: { socket, ...options.api },
      stateDir: join(folder, "state"),
      cni: { binDirs: [...(options.binDirs ?? []), cluster.cni.binDir], confDir: cluster.cni.confDir },
      controller: { kubeconfig: path },
      ops: { listen: "127.0.0.1:0", controllerListen: "127.0.0.1:0" },
      ...readableLog,
      ...options.config,
    }),
  );
  const command = [options.command ?? "agent"];
  let program = await startAgentProgram(configFile, [], command);
  const server = `unix://${socket}`;
  const client = createNodeClient({ server });
  await eventually("the agent finds the runtime", () => client.info(AbortSignal.timeout(5_000)));

  return {
    client,
    folder,
    configFile,
    server,
    get program() {
      return program;
    },
    async start() {
      program = await startAgentProgram(configFile, [], command);
    },
    async leases() {
      const files = await readdir(leases, { recursive: true }).catch(() => []);
      return files.filter((file) => /(^|\/)\d+\.\d+\.\d+\.\d+$/.test(file));
    },
    bridgeDefinition: (
      namespace,
      name,
      { capabilities = {}, subnet = "10.91.0.0/16", chained = [] } = {},
    ) => ({
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { namespace, name },
      spec: {
        config: JSON.stringify({
          cniVersion: "1.0.0",
          plugins: [
            {
              type: "bridge",
              bridge: `br-${namespace.slice(-8)}`,
              isGateway: true,
              capabilities,
              ipam: { type: "host-local", dataDir: leases, ranges: [[{ subnet }]] },
            },
            ...chained,
          ],
        }),
      },
    }),
    async [Symbol.asyncDispose]() {
      await client.close();
      await program[Symbol.asyncDispose]();
    },
  };
}
