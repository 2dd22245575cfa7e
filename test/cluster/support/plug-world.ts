import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makePluginDirectory } from "../../fixtures/plugins/plugin-directory.ts";
import { type ClusterAgent, startClusterAgent } from "./agent.ts";
import { type Cluster, eventually, run, type TestNamespace } from "./cluster.ts";
import { type Pod, type PodSandbox, podManifest, podSandbox, readyPod } from "./pods.ts";

export const networksAnnotation = "k8s.v1.cni.cncf.io/networks";
export const statusAnnotation = "k8s.v1.cni.cncf.io/network-status";

/** An agent on the cluster's node, with pods and networks of a test file's own. */
export interface PlugWorld extends AsyncDisposable {
  readonly agent: ClusterAgent;
  readonly namespace: TestNamespace;
  /** Of bridge and host-local, with a subnet of its own. */
  define(network: string, options?: NetworkOptions): Promise<void>;
  undefine(network: string): Promise<void>;
  startPod(name: string, annotations?: Readonly<Record<string, string>>): Promise<PlugPod>;
  /** One that runs already, in the sandbox that it has by now. */
  findPod(name: string): Promise<PlugPod>;
  /** The node's ends of the links that the networks made. */
  nodeLinks(): Promise<readonly string[]>;
  /** Ends the agent with SIGKILL. */
  kill(): Promise<void>;
  /** Whoever asks for `gate` waits there from now on, until it is opened. */
  shut(gate: string): Promise<void>;
  open(gate: string): Promise<void>;
  /** How many plugins are waiting, or went through. */
  arrivals(gate: string): Promise<number>;
}

export interface NetworkOptions {
  readonly capabilities?: Readonly<Record<string, boolean>>;
  /** ADD or DEL waits at this gate once the bridge has done its part. */
  readonly gate?: { readonly command: "ADD" | "DEL"; readonly name: string };
}

export interface PlugPod {
  readonly name: string;
  readonly pod: Pod;
  readonly sandbox: PodSandbox;
  /** Sets the networks annotation; removes it when there is no text. */
  networks(text: string | undefined): Promise<void>;
  annotate(...pairs: readonly string[]): Promise<void>;
  state(): Promise<PodState>;
  /**
   * Resolves once the pod holds exactly these attachments, each as `INTERFACE NETWORK`, and each
   * with a link, a lease and a status entry of one address, and a record.
   */
  holds(attachments: readonly string[]): Promise<PodState>;
  /** The same once the pod is deleted: nothing speaks of it any more. */
  isForgotten(): Promise<void>;
  /** `REASON: MESSAGE` of each event, with how often it happened. */
  events(): Promise<readonly PodEvent[]>;
  /** Resolves once there is an event of this reason whose message matches. */
  hears(reason: string, message: RegExp): Promise<void>;
}

export interface PodEvent {
  readonly reason: string;
  readonly message: string;
  readonly count?: number;
}

/** What is plugged into a pod, as each place tells it; the pod's own interface apart. */
export interface PodState {
  /** `INTERFACE ADDRESS` in the pod's namespace. */
  readonly links: readonly string[];
  /** `INTERFACE NETWORK ADDRESS` in network-status. */
  readonly status: readonly string[];
  /** `INTERFACE NETWORK ADDRESS` in host-local's files. */
  readonly leases: readonly string[];
  /** The interface of each of podplug's records. */
  readonly records: readonly string[];
}

interface StatusEntry {
  readonly name: string;
  readonly interface: string;
  readonly ips?: readonly string[];
  readonly default?: boolean;
}

interface Link {
  readonly ifname: string;
  readonly address: string;
  readonly addr_info: readonly { readonly family: string; readonly local: string }[];
}

/** `config` is added to the agent's. */
export async function makePlugWorld(cluster: Cluster, config: object = {}): Promise<PlugWorld> {
  await using cleanup = new AsyncDisposableStack();
  const plugins = cleanup.use(await makePluginDirectory());
  const gates = await cluster.makeFolder();
  const namespace = cleanup.use(await cluster.makeNamespace());
  const agent = cleanup.use(
    await startClusterAgent(cluster, {
      binDirs: [plugins.path],
      config: { healing: { intervalSeconds: 2 }, ...config },
    }),
  );
  const leasesDir = join(agent.folder, "leases");
  const resultsDir = join(agent.folder, "state/results");
  const bridgeName = `br-${namespace.name.slice(-8)}`;
  let subnets = 0;
  const kubectl = (...args: readonly string[]) => cluster.kubectl("-n", namespace.name, ...args);
  const held = cleanup.move();

  return {
    agent,
    namespace,
    async define(network, { capabilities = {}, gate } = {}) {
      subnets += 1;
      const bridge = {
        type: gate ? `gate-${network}` : "bridge",
        bridge: bridgeName,
        capabilities,
        ipam: {
          type: "host-local",
          dataDir: leasesDir,
          ranges: [[{ subnet: `10.92.${subnets}.0/24` }]],
        },
      };
      if (gate) await addGate(network, gate);
      await cluster.apply({
        apiVersion: "k8s.cni.cncf.io/v1",
        kind: "NetworkAttachmentDefinition",
        metadata: { namespace: namespace.name, name: network },
        spec: { config: JSON.stringify({ cniVersion: "1.0.0", plugins: [bridge] }) },
      });
    },
    async undefine(network) {
      await kubectl("delete", "network-attachment-definitions", network);
    },
    async startPod(name, annotations = {}) {
      await cluster.apply(podManifest(namespace.name, name, { annotations }));
      return await findPod(name);
    },
    findPod,
    async nodeLinks() {
      const links = JSON.parse(await run("ip", ["-j", "link", "show", "master", bridgeName])) as Link[];
      return links.map(({ ifname }) => ifname);
    },
    async kill() {
      agent.program.kill("SIGKILL");
      await agent.program.ended;
    },
    async shut(gate) {
      await writeFile(join(gates, gate), "");
    },
    async open(gate) {
      await rm(join(gates, gate));
    },
    arrivals: async (gate) =>
      (await readdir(gates)).filter((file) => file.startsWith(`${gate}.arrived`)).length,
    async [Symbol.asyncDispose]() {
      await held[Symbol.asyncDispose]();
    },
  };

  async function findPod(name: string): Promise<PlugPod> {
    const pod = await readyPod(cluster, namespace.name, name);
    return plugPod(pod, await podSandbox(pod));
  }

  async function addGate(
    network: string,
    { command, name }: { readonly command: "ADD" | "DEL"; readonly name: string },
  ): Promise<void> {
    const file = join(gates, name);
    // The bridge has done its part when the gate is reached.
    await plugins.addProgram(
      `gate-${network}`,
      `#!/bin/sh
answer=$('${cluster.cni.binDir}/bridge')
code=$?
if [ "$CNI_COMMAND" = ${command} ]; then
  touch '${file}'.arrived.$$
  while [ -e '${file}' ]; do sleep 0.05; done
fi
printf '%s' "$answer"
exit $code
`,
    );
  }

  function plugPod(pod: Pod, sandbox: PodSandbox): PlugPod {
    const { name } = pod.metadata;
    const statusEntries = async (): Promise<readonly StatusEntry[]> => {
      const now = await cluster.kubectlJson<Pod>("-n", namespace.name, "get", "pod", name);
      return JSON.parse(now.metadata.annotations?.[statusAnnotation] || "[]") as StatusEntry[];
    };
    const annotate = async (...pairs: readonly string[]): Promise<void> => {
      await kubectl("annotate", "--overwrite", "pod", name, ...pairs);
    };
    const records = async (): Promise<readonly string[]> => {
      const read = await Promise.all(
        (await readdir(resultsDir)).map((file) => readFile(join(resultsDir, file), "utf8").catch(() => "")),
      );
      return read
        .filter((text) => text !== "")
        .map((text) => JSON.parse(text) as { readonly containerId: string; readonly ifName: string })
        .filter(({ containerId }) => containerId === sandbox.id)
        .map(({ ifName }) => ifName)
        .toSorted();
    };
    const leases = async (): Promise<readonly string[]> => {
      const files = await readdir(leasesDir, { recursive: true }).catch(() => []);
      const read = await Promise.all(
        files
          .filter((file) => /\/\d+\.\d+\.\d+\.\d+$/.test(file))
          .map(async (file) => {
            const [network = "", ip = ""] = file.split("/");
            // Of host-local: the container's ID, then the interface.
            const [id, ifName = ""] = (await readFile(join(leasesDir, file), "utf8").catch(() => "")).split(
              /\r?\n/,
            );
            return id === sandbox.id ? `${ifName} ${network} ${ip}` : "";
          }),
      );
      return read.filter((each) => each !== "").toSorted();
    };
    const state = async (): Promise<PodState> => {
      const links = JSON.parse(await sandbox.run("ip", "-j", "address")) as Link[];
      return {
        links: links
          .filter(({ ifname }) => ifname !== "lo" && ifname !== "eth0")
          .map(({ ifname, addr_info }) =>
            [ifname, ...addr_info.filter(({ family }) => family === "inet").map(({ local }) => local)].join(
              " ",
            ),
          )
          .toSorted(),
        status: (await statusEntries())
          .filter((entry) => !entry.default)
          .map((entry) =>
            [entry.interface, entry.name.replace(`${namespace.name}/`, ""), ...(entry.ips ?? [])].join(" "),
          )
          .toSorted(),
        leases: await leases(),
        records: await records(),
      };
    };
    const events = async (): Promise<readonly PodEvent[]> => {
      const { items } = await cluster.kubectlJson<{ readonly items: readonly PodEvent[] }>(
        "-n",
        namespace.name,
        "get",
        "events",
        `--field-selector=involvedObject.uid=${pod.metadata.uid}`,
      );
      return items.map(({ reason, message, count }) => ({ reason, message, count: count ?? 1 }));
    };
    return {
      name,
      pod,
      sandbox,
      annotate,
      networks: (text) =>
        annotate(text === undefined ? `${networksAnnotation}-` : `${networksAnnotation}=${text}`),
      state,
      events,
      async holds(attachments) {
        return await eventually(`${name} holds ${attachments.join(", ") || "nothing"}`, async () => {
          const now = await state();
          if (isExactly(now, attachments)) return now;
          throw new Error(`it is ${JSON.stringify(now)}`);
        });
      },
      async isForgotten() {
        await eventually(`nothing speaks of ${name}`, async () => {
          const left = { leases: await leases(), records: await records() };
          if (left.leases.length + left.records.length === 0) return true;
          throw new Error(`there is ${JSON.stringify(left)}`);
        });
      },
      async hears(reason, message) {
        await eventually(`event ${reason} ${message} of ${name}`, async () => {
          const all = await events();
          if (all.some((each) => each.reason === reason && message.test(each.message))) return true;
          throw new Error(`there are ${JSON.stringify(all)}`);
        });
      },
    };
  }
}

/** Link, status, lease and record of each attachment agree, and there are no others. */
function isExactly({ links, status, leases, records }: PodState, attachments: readonly string[]): boolean {
  const lines = status.map((line) => line.split(" "));
  return (
    sameLists(
      lines.map(([ifName, network]) => `${ifName} ${network}`),
      attachments,
    ) &&
    sameLists(leases, status) &&
    sameLists(
      links,
      lines.map(([ifName, , ...ips]) => [ifName, ...ips].join(" ")),
    ) &&
    sameLists(
      records,
      lines.map(([ifName = ""]) => ifName),
    )
  );
}

function sameLists(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join("\n") === b.toSorted().join("\n");
}

export async function hardwareAddressOf({ sandbox }: PlugPod, ifName: string): Promise<string> {
  const [link] = JSON.parse(await sandbox.run("ip", "-j", "link", "show", ifName)) as readonly Link[];
  return link?.address ?? "";
}

/** Moves a file of the node elsewhere until disposed of. */
export async function takeAway(path: string): Promise<AsyncDisposable> {
  await run("mv", [path, `${path}.away`]);
  return {
    async [Symbol.asyncDispose]() {
      await run("mv", [`${path}.away`, path]);
    },
  };
}
