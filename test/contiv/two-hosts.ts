import { execFile } from "node:child_process";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { createNodeClient, type NodeClient } from "../../src/client/node-client.ts";
import type { PodInterface } from "../../src/domain/node-api.ts";
import { readableLog, startAgentProgram } from "../agent/agent-program.ts";
import { type FakeCriRuntime, startFakeCriRuntime } from "../fakes/fake-cri-runtime.ts";
import { kubeconfigText } from "../faults/pod-node.ts";
import { startFakeApiServer } from "../kube/fake-api-server.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { example } from "./example.ts";

/** Where the test's own namespace is on the wire between the hosts, with the API server. */
const ownAddress = "192.168.2.1";

export interface Host {
  readonly name: string;
  readonly netns: TestNetns;
  readonly node: TestNode;
  readonly client: NodeClient;
  startPod(name: string): Promise<ContivPod>;
  /** Ends the agent with SIGKILL, and starts another on the same state after that. */
  killAndRestart(meanwhile: () => Promise<void>): Promise<void>;
  /** All that is there of its own accord: nothing but what joins the hosts, once nothing is plugged. */
  remains(): Promise<readonly string[]>;
}

export interface ContivPod {
  readonly name: string;
  readonly netns: TestNetns;
  /** `NETWORK ADDRESS` of each attachment, as the API has it. */
  networks(): Promise<readonly string[]>;
  /** The same of its network-status, without prefix lengths. */
  status(): readonly string[];
  /** `INTERFACE ADDRESS/PREFIX`, as the kernel has it; the pod's own interface apart. */
  addresses(): Promise<readonly string[]>;
  /** Whether an answer comes from there. */
  reaches(address: string): Promise<boolean>;
}

export interface TwoHosts extends AsyncDisposable {
  readonly api: Awaited<ReturnType<typeof startFakeApiServer>>;
  readonly host1: Host;
  readonly host2: Host;
  /** Writes the file that both hosts have. */
  writeIntent(intent: unknown): Promise<void>;
  events(): readonly string[];
}

const execute = promisify(execFile);

/** `ip …` in the namespace that the tests run in. */
async function outside(...args: readonly string[]): Promise<void> {
  await execute("ip", args);
}

/** Two agents in namespaces that stand for hosts, joined by a wire, with one API server and one intent. */
export async function makeTwoHosts(): Promise<TwoHosts> {
  await using cleanup = new AsyncDisposableStack();
  const wire = `wire${process.pid % 100_000}`;
  await outside("link", "add", wire, "type", "bridge");
  cleanup.defer(() => outside("link", "delete", wire));
  await outside("addr", "add", `${ownAddress}/24`, "dev", wire);
  await outside("link", "set", wire, "up");
  const api = cleanup.use(await startFakeApiServer(ownAddress));
  const directory = cleanup.use(await makeNode());
  const intentFile = join(directory.root, "intent.json");
  const writeIntent = (intent: unknown): Promise<void> => writeFile(intentFile, JSON.stringify(intent));
  await writeIntent(example);

  const pods = cleanup.use(new AsyncDisposableStack());
  const makeHost = async (name: string, address: string): Promise<Host> => {
    const netns = cleanup.use(await makeNetns(name));
    // What another test left in a namespace that is gone, whose number the kernel gave again.
    for (const folder of await usersOfUplinks(netns)) await rm(join(uplinks, folder), { recursive: true });
    const port = `${wire}-${name.at(-1)}`;
    await netns.ip("link", "set", "lo", "up");
    await netns.ip("link", "add", "eth0", "type", "veth", "peer", "name", port);
    await netns.ip("link", "set", port, "netns", `${process.pid}`);
    await netns.ip("addr", "add", `${address}/24`, "dev", "eth0");
    await netns.ip("link", "set", "eth0", "up");
    await outside("link", "set", port, "master", wire, "up");
    const runtime = cleanup.use(
      await startFakeCriRuntime({ addNetns: () => "", hasNetns: () => false, removePath: () => undefined }),
    );
    const kubeconfig = `${runtime.socketPath}.kubeconfig`;
    await writeFile(kubeconfig, kubeconfigText(api));
    const node = cleanup.use(
      await makeNode({
        config: {
          ...readableLog,
          nodeName: name,
          runtime: "cri",
          criSocketPath: runtime.socketPath,
          networks: ["netAttachDef"],
          controller: { enabled: true, kubeconfig },
          contiv: { intentFile },
        },
      }),
    );
    const start = () => startAgentProgram(node.configFile, ["nsenter", `--net=${netns.path}`]);
    let agent = await start();
    cleanup.defer(() => agent[Symbol.asyncDispose]());
    const client = cleanup.use(createNodeClient({ server: `unix://${node.socket}` }));
    return {
      name,
      netns,
      node,
      client,
      async killAndRestart(meanwhile) {
        agent.kill("SIGKILL");
        await agent.ended;
        await meanwhile();
        agent = await start();
      },
      startPod: async (pod) => {
        const podNetns = pods.use(await makeNetns("pod"));
        await podNetns.ip("link", "add", "eth0", "type", "bridge");
        return startPod({ api, runtime, client, host: name, name: pod, netns: podNetns });
      },
      remains: async () => [
        ...(await netns.ipJson<IpLink[]>("link")).map(({ ifname }) => ifname),
        ...(await node.journalFiles()),
        ...(await usersOfUplinks(netns)),
      ],
    };
  };

  const host1 = await makeHost("host1", "192.168.2.10");
  const host2 = await makeHost("host2", "192.168.2.11");
  const held = cleanup.move();
  return {
    api,
    host1,
    host2,
    writeIntent,
    events: () =>
      api
        .paths()
        .filter((path) => path.includes("/events/"))
        .map((path) => api.get(path) as unknown as { readonly reason: string; readonly message: string })
        .map(({ reason, message }) => `${reason}: ${message}`),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const uplinks = "/run/podplug/uplinks";

/** What podplug-uplink counts in this host. */
async function usersOfUplinks(netns: TestNetns): Promise<readonly string[]> {
  const link = await netns.run("readlink", "/proc/self/ns/net");
  const number = link.replace(/\D/g, "");
  await mkdir(uplinks, { recursive: true });
  const folders = await readdir(uplinks);
  return folders.filter((folder) => folder.startsWith(`${number}-`));
}

function startPod(options: {
  readonly api: TwoHosts["api"];
  readonly runtime: FakeCriRuntime;
  readonly client: NodeClient;
  readonly host: string;
  readonly name: string;
  readonly netns: TestNetns;
}): ContivPod {
  const { api, runtime, client, host, name, netns } = options;
  const uid = `uid-${name}`;
  runtime.addPod({ namespace: "demo", name, uid }, { uid, netnsPath: netns.path });
  const path = `/api/v1/namespaces/demo/pods/${name}`;
  api.put(path, {
    metadata: { namespace: "demo", name, uid },
    spec: { nodeName: host },
    status: { phase: "Running" },
  });
  const attachments = async (): Promise<readonly PodInterface[]> => {
    const target = { kind: "pod", pod: { namespace: "demo", name } } as const;
    const all = await client.list({ target }, AbortSignal.timeout(30_000));
    return all.filter(({ attachmentId }) => attachmentId !== "");
  };
  return {
    name,
    netns,
    networks: async () => (await attachments()).map(({ network, ips }) => `${network} ${ips.join()}`),
    status() {
      const text = api.get(path)?.metadata.annotations?.["k8s.v1.cni.cncf.io/network-status"] ?? "[]";
      const entries = JSON.parse(text) as readonly {
        readonly name: string;
        readonly ips?: readonly string[];
      }[];
      return entries.map((entry) => `${entry.name} ${entry.ips?.join()}`);
    },
    async addresses() {
      const links = await netns.ipJson<IpLink[]>("addr");
      return links
        .filter(({ ifname }) => ifname !== "lo")
        .flatMap(({ ifname, addr_info: addresses }) =>
          addresses.map(({ local, prefixlen }) => `${ifname} ${local}/${prefixlen}`),
        );
    },
    async reaches(address) {
      return await netns.run("ping", "-c", "1", "-W", "1", address).then(
        () => true,
        () => false,
      );
    },
  };
}
