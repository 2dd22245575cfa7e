import { readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { createNodeClient } from "../../../src/client/node-client.ts";
import type { NodeInfo } from "../../../src/domain/node-api.ts";
import { type AgentProgram, startProgram } from "../../agent/agent-program.ts";
import { type Cluster, eventually, run } from "./cluster.ts";
import { type Pod, podManifest, podSandbox, readyPod } from "./pods.ts";

/** Of Networks `data` and `green`. */
export const dataName = "net8d777f385d3d";
export const greenName = "net9f27410725ab";

const root = join(import.meta.dirname, "../../..");
/** Where host-local keeps leases that nobody put elsewhere. */
const leasesDir = "/var/lib/cni/networks";

/** podagent's place on a node: podplug under its name, with its flags. Resolves once it serves. */
export async function startPodagent(cluster: Cluster, confDir: string): Promise<AgentProgram> {
  const { path } = await cluster.agentKubeconfig();
  const flags = {
    node: cluster.nodeName,
    kubeconfig: path,
    "container-type": "crio",
    "crio-endpoint": `unix://${cluster.criSocketPath}`,
    "cni-bin-path": cluster.cni.binDir,
    "cni-conf-path": confDir,
  };
  const args = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, value]);
  return await startProgram([join(root, "bin/podagent"), ...args, "-logtostderr"]);
}

/** The kind, and the Networks `data` (podagent's example), `green` and `broken`. */
export async function defineNetworks(cluster: Cluster): Promise<void> {
  const kaloom = (file: string) => join(root, "examples/kaloom", file);
  await cluster.kubectl("apply", "-f", kaloom("networks-crd.yaml"));
  await cluster.kubectl("wait", "--for=condition=Established", "crd/networks.kaloom.com");
  const green = {
    cniVersion: "0.3.1",
    name: "green",
    type: "bridge",
    bridge: "green-br",
    ipam: { type: "host-local", subnet: "172.20.2.0/24" },
  };
  const network = (name: string, config: string) => ({
    apiVersion: "kaloom.com/v1",
    kind: "Network",
    metadata: { namespace: "default", name },
    spec: { plugin: "bridge", config },
  });
  // Known to the API server a moment before it serves them.
  await eventually("the Networks are taken", async () => {
    await cluster.kubectl("apply", "-f", kaloom("data-net.yaml"));
    await cluster.apply(network("green", JSON.stringify(green)), network("broken", '{"bridge":'));
    return true;
  });
}

/** Kaloom's meta plugin, or what stands for it, installed on the node. */
export interface Kactus extends AsyncDisposable {
  /** A folder of CNI configurations whose first is kactus's. */
  readonly confDir: string;
  /** What the agent in podagent's place says of itself. */
  info(): Promise<NodeInfo>;
  /** The leased addresses of a Network. */
  leases(network: string): Promise<readonly string[]>;
  /** A pod that the kubelet creates with kactus as the node's CNI. */
  createPod(namespace: string, name: string, networks: string): Promise<Pod>;
  /** What podagent runs when an annotation changes. */
  asPodagent(command: "ADD" | "DEL", pod: Pod, network: string): Promise<void>;
  /** Off the node until disposed of: its program and its configuration. */
  takeAway(): Promise<AsyncDisposable>;
}

export async function makeKactus(cluster: Cluster): Promise<Kactus> {
  await using cleanup = new AsyncDisposableStack();
  const { binDir, confDir: runtimesConfDir, leasesDir: clusterLeases } = cluster.cni;
  const program = join(binDir, "kactus");
  const standIn = join(import.meta.dirname, "kactus-stand-in.ts");
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${standIn}'\n`, { mode: 0o755 });
  cleanup.defer(() => rm(program, { force: true }));
  const configuration = JSON.stringify({
    cniVersion: "0.3.1",
    name: "cbr0",
    type: "kactus",
    kubeconfig: cluster.kubeconfigPath,
    delegates: [
      {
        type: "bridge",
        masterPlugin: true,
        bridge: "cluster0",
        isGateway: true,
        ipam: {
          type: "host-local",
          dataDir: clusterLeases,
          ranges: [[{ subnet: "10.250.0.0/22" }]],
          routes: [{ dst: "0.0.0.0/0" }],
        },
      },
    ],
  });
  const confDir = await cluster.makeFolder();
  await writeFile(join(confDir, "00-kactus.conf"), configuration);
  const runtimesConfig = join(runtimesConfDir, "00-kactus.conf");
  cleanup.defer(() => rm(runtimesConfig, { force: true }));
  const held = cleanup.move();

  return {
    confDir,
    async info() {
      await using client = createNodeClient({ server: "unix:///run/podplug/podplug.sock" });
      return await client.info(AbortSignal.timeout(20_000));
    },
    async leases(network) {
      const files = await readdir(join(leasesDir, network)).catch(() => []);
      return files.filter((file) => /^\d+\.\d+\.\d+\.\d+$/.test(file));
    },
    /** The runtime tells nobody which configuration it has read: a pod does, by what is plugged into it. */
    async createPod(namespace, name, networks) {
      await writeFile(runtimesConfig, configuration);
      return await eventually("kactus is the runtime's CNI", async () => {
        await cluster.kubectl(
          "-n",
          namespace,
          "delete",
          "pod",
          name,
          "--ignore-not-found",
          "--grace-period=1",
        );
        await cluster.apply(podManifest(namespace, name, { annotations: { networks } }));
        const pod = await readyPod(cluster, namespace, name);
        const { run: inPod } = await podSandbox(pod);
        await inPod("ip", "link", "show", greenName);
        return pod;
      });
    },
    async asPodagent(command, pod, network) {
      const { id, netnsPath } = await podSandbox(pod);
      const { namespace, name } = pod.metadata;
      const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=${name};K8S_POD_INFRA_CONTAINER_ID=${id};K8S_POD_NETWORK=${network};K8S_POD_IFMAC=`;
      const variables = [
        `CNI_COMMAND=${command}`,
        `CNI_CONTAINERID=${id}`,
        `CNI_NETNS=${netnsPath}`,
        "CNI_IFNAME=eth0",
        `CNI_PATH=${binDir}`,
        `CNI_ARGS=${args}`,
      ];
      await run("env", [...variables, program], configuration);
    },
    async takeAway() {
      await rm(runtimesConfig, { force: true });
      await rename(program, `${program}.away`);
      return { [Symbol.asyncDispose]: () => rename(`${program}.away`, program) };
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
