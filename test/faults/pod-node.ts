import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createNodeClient, type NodeClient } from "../../src/client/node-client.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { Target } from "../../src/domain/target.ts";
import { type AgentProgram, readableLog, startAgentProgram } from "../agent/agent-program.ts";
import { type FakeCriRuntime, startFakeCriRuntime } from "../fakes/fake-cri-runtime.ts";
import { startFakeApiServer } from "../kube/fake-api-server.ts";
import { eventually } from "../server/eventually.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { readLeases, readRecords } from "./traces.ts";

const networksAnnotation = "k8s.v1.cni.cncf.io/networks";
const statusAnnotation = "k8s.v1.cni.cncf.io/network-status";

/**
 * A whole agent on a node with pods: real plugins, kernel and namespaces; the
 * API server and the runtime are fakes behind their real protocols, so that
 * tests can break them.
 */
export interface PodNode extends AsyncDisposable {
  readonly node: TestNode;
  readonly api: Awaited<ReturnType<typeof startFakeApiServer>>;
  readonly runtime: FakeCriRuntime;
  /** The one that runs now. */
  readonly agent: AgentProgram;
  readonly client: NodeClient;
  /** Ends the agent with SIGKILL; `start` starts another on the same state. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** A NetworkAttachmentDefinition in the pods' namespace. */
  define(network: string, plugins: readonly JsonObject[]): void;
  startPod(name: string, networks?: string): Promise<NodePod>;
  /** `REASON: MESSAGE` of each event that was recorded. */
  events(): readonly string[];
}

export interface NodePod {
  readonly name: string;
  readonly netns: TestNetns;
  readonly target: Target;
  /** Sets the networks annotation; removes it when there is no text. */
  networks(text: string | undefined): void;
  /**
   * Resolves once the pod holds exactly these attachments, each as `INTERFACE NETWORK`, and each
   * with a link, a lease and a status entry of one address, and a record.
   */
  holds(attachments: readonly string[], deadlineMs?: number): Promise<void>;
  /** The same but for the status, which the API server may be away for. */
  has(interfaces: readonly string[], deadlineMs?: number): Promise<void>;
  /** `INTERFACE ADDRESS` of each link but the pod's own. */
  links(): Promise<readonly string[]>;
  /** Resolves once no lease and no record speaks of it. */
  isForgotten(deadlineMs?: number): Promise<void>;
  /** Deletes the pod with its namespace, as the kubelet does. */
  end(): Promise<void>;
}

interface StatusEntry {
  readonly name: string;
  readonly interface: string;
  readonly ips?: readonly string[];
  readonly default?: boolean;
}

export async function makePodNode({
  binDirs = [],
  config = {},
  before = [],
}: {
  readonly binDirs?: readonly string[];
  readonly config?: JsonObject;
  /** A command that runs the agent. */
  readonly before?: readonly string[];
} = {}): Promise<PodNode> {
  await using cleanup = new AsyncDisposableStack();
  const api = cleanup.use(await startFakeApiServer());
  // The namespaces are the kernel's own, and the test's to make and end.
  const runtime = cleanup.use(
    await startFakeCriRuntime({ addNetns: () => "", hasNetns: () => false, removePath: () => undefined }),
  );
  const kubeconfig = `${runtime.socketPath}.kubeconfig`;
  await writeFile(kubeconfig, kubeconfigText(api));
  const node = cleanup.use(
    await makeNode({
      binDirs,
      config: {
        ...readableLog,
        nodeName: "node-1",
        runtime: "cri",
        criSocketPath: runtime.socketPath,
        networks: ["netAttachDef"],
        controller: { enabled: true, kubeconfig },
        ...config,
      },
    }),
  );
  let agent = await startAgentProgram(node.configFile, before);
  cleanup.defer(() => agent[Symbol.asyncDispose]());
  const client = cleanup.use(createNodeClient({ server: `unix://${node.socket}` }));
  let pods = 0;
  const held = cleanup.move();

  const define = (name: string, plugins: readonly JsonObject[]): void => {
    api.put(`/apis/k8s.cni.cncf.io/v1/namespaces/demo/network-attachment-definitions/${name}`, {
      metadata: { namespace: "demo", name, uid: `uid-${name}` },
      spec: { config: JSON.stringify({ cniVersion: "1.0.0", name, plugins }) },
    });
  };
  for (const network of ["blue", "red"]) define(network, [node.bridgePlugin()]);

  return {
    node,
    api,
    runtime,
    client,
    get agent() {
      return agent;
    },
    async kill() {
      agent.kill("SIGKILL");
      await agent.ended;
    },
    async start() {
      agent = await startAgentProgram(node.configFile, before);
    },
    define,
    async startPod(name, networks) {
      pods += 1;
      const netns = held.use(await makeNetns("pod"));
      await netns.ip("link", "add", "eth0", "type", "bridge");
      const uid = `uid-${pods}`;
      const { sandboxId } = runtime.addPod(
        { namespace: "demo", name, uid },
        { uid, netnsPath: `/run/netns/${netns.name}` },
      );
      const path = `/api/v1/namespaces/demo/pods/${name}`;
      const annotations = networks === undefined ? {} : { [networksAnnotation]: networks };
      api.put(path, {
        metadata: { namespace: "demo", name, uid, annotations },
        spec: { nodeName: "node-1" },
        status: { phase: "Running" },
      });
      return createPod({ node, api, runtime, name, path, netns, sandboxId });
    },
    events: () =>
      api
        .paths()
        .filter((path) => path.includes("/events/"))
        .map((path) => api.get(path) as unknown as { readonly reason: string; readonly message: string })
        .map(({ reason, message }) => `${reason}: ${message}`),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

export function kubeconfigText({
  url,
  authority,
}: {
  readonly url: string;
  readonly authority: string;
}): string {
  const ca = Buffer.from(authority).toString("base64");
  return JSON.stringify({
    clusters: [{ name: "test", cluster: { server: url, "certificate-authority-data": ca } }],
    users: [{ name: "agent", user: { token: "first-token" } }],
    contexts: [{ name: "test", context: { cluster: "test", user: "agent" } }],
    "current-context": "test",
  });
}

function createPod(options: {
  readonly node: TestNode;
  readonly api: PodNode["api"];
  readonly runtime: FakeCriRuntime;
  readonly name: string;
  readonly path: string;
  readonly netns: TestNetns;
  readonly sandboxId: string;
}): NodePod {
  const { node, api, runtime, name, path, netns, sandboxId } = options;
  const own = (lines: readonly string[]): readonly string[] =>
    lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1));

  /** Each line is `INTERFACE ADDRESS`; the pod's own interface apart. */
  async function state() {
    const nameOf = new Map([[sandboxId, name]]);
    const links = await netns.ipJson<IpLink[]>("addr");
    const { whole, others } = await readRecords(join(node.stateDir, "results"), nameOf);
    return {
      links: links
        .filter(({ ifname }) => ifname !== "lo" && ifname !== "eth0")
        .map(({ ifname, addr_info: addresses }) => [ifname, ...addresses.map(({ local }) => local)].join(" "))
        .toSorted(),
      leases: own(await readLeases(join(node.root, "leases"), nameOf)).toSorted(),
      records: own(whole.map(({ line }) => line)).toSorted(),
      unfinished: own(others),
      status: entries(),
    };
  }

  function entries(): readonly StatusEntry[] {
    const text = api.get(path)?.metadata.annotations?.[statusAnnotation] || "[]";
    return (JSON.parse(text) as readonly StatusEntry[]).filter((entry) => !entry.default);
  }

  async function agrees(
    isRight: (now: Awaited<ReturnType<typeof state>>) => boolean,
    wanted: readonly string[],
    deadlineMs: number | undefined,
  ): Promise<void> {
    let last: unknown;
    const condition = async (): Promise<boolean> => {
      const now = await state();
      last = now;
      const { links, leases, records, unfinished } = now;
      return isSame(links, leases) && isSame(links, records) && unfinished.length === 0 && isRight(now);
    };
    try {
      await eventually(condition, `${name} holds ${wanted.join(", ") || "nothing"}`, deadlineMs);
    } catch (error) {
      throw new Error(`it is ${JSON.stringify(last)}`, { cause: error });
    }
  }

  async function traces(): Promise<readonly string[]> {
    const nameOf = new Map([[sandboxId, name]]);
    const { whole, others } = await readRecords(join(node.stateDir, "results"), nameOf);
    const leases = await readLeases(join(node.root, "leases"), nameOf);
    return own([...whole.map(({ line }) => line), ...others, ...leases]);
  }

  return {
    name,
    netns,
    target: { kind: "pod", pod: { namespace: "demo", name } },
    networks(text) {
      const pod = api.get(path);
      if (!pod) throw new Error(`the test has no pod ${name}`);
      const { [networksAnnotation]: _before, ...others } = pod.metadata.annotations ?? {};
      const annotations = text === undefined ? others : { ...others, [networksAnnotation]: text };
      api.put(path, { ...pod, metadata: { ...pod.metadata, annotations } });
    },
    links: async () => (await state()).links,
    async isForgotten(deadlineMs) {
      await eventually(async () => (await traces()).length === 0, `nothing speaks of ${name}`, deadlineMs);
    },
    async end() {
      runtime.removePod({ namespace: "demo", name });
      await netns[Symbol.asyncDispose]();
      api.remove(path);
    },
    async holds(attachments, deadlineMs) {
      const isRight = ({ links, status }: Awaited<ReturnType<typeof state>>): boolean =>
        isSame(
          attachments,
          status.map((entry) => `${entry.interface} ${entry.name.replace("demo/", "")}`).toSorted(),
        ) &&
        isSame(links, status.map((entry) => [entry.interface, ...(entry.ips ?? [])].join(" ")).toSorted());
      await agrees(isRight, attachments, deadlineMs);
    },
    async has(interfaces, deadlineMs) {
      await agrees(
        ({ links }) =>
          isSame(
            interfaces,
            links.map((line) => line.split(" ")[0] ?? ""),
          ),
        interfaces,
        deadlineMs,
      );
    },
  };
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.toSorted().join("\n") === b.toSorted().join("\n");
}
