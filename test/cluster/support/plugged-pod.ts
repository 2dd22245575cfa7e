import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NodeClient } from "../../../src/client/node-client.ts";
import { neverAborted } from "../../../src/domain/signals.ts";
import { type Cluster, eventually } from "./cluster.ts";
import { type PodSandbox, podManifest, podSandbox, readyPod } from "./pods.ts";

const networksAnnotation = "k8s.v1.cni.cncf.io/networks";

/** A pod, in a namespace of its own, whose net1 was plugged by the annotation. */
export interface PluggedPod extends AsyncDisposable {
  readonly namespace: string;
  readonly sandbox: PodSandbox;
  /** Sets the networks annotation; removes it when there is no text. */
  networks(text?: string): Promise<void>;
  /** Of each attachment: name, index, hardware address, addresses but the kernel's own, and which one it is. */
  attached(client: NodeClient): Promise<readonly (readonly unknown[])[]>;
  /** Removes the annotation and waits for net1's end. */
  unplug(): Promise<void>;
}

/** `plugins` are the network's; a bridge when there are none. */
export async function startPluggedPod(
  cluster: Cluster,
  client: NodeClient,
  name: string,
  plugins: readonly object[] = [bridgePlugin(`${name}0`)],
): Promise<PluggedPod> {
  await using cleanup = new AsyncDisposableStack();
  const namespace = cleanup.use(await cluster.makeNamespace());
  await cluster.apply(networkDefinition(namespace.name, "data", plugins));
  const annotations = { [networksAnnotation]: "data@net1" };
  await cluster.apply(podManifest(namespace.name, name, { annotations }));
  const sandbox = await podSandbox(await readyPod(cluster, namespace.name, name));
  const target = { kind: "pod", pod: { namespace: namespace.name, name } } as const;

  const networks: PluggedPod["networks"] = async (text) => {
    const change = text === undefined ? `${networksAnnotation}-` : `${networksAnnotation}=${text}`;
    await cluster.kubectl("-n", namespace.name, "annotate", "--overwrite", "pod", name, change);
  };
  const attached: PluggedPod["attached"] = async (by) => {
    const views = await by.list({ target }, neverAborted);
    return views
      .filter(({ origin, state }) => origin === "podplug" && state === "attached")
      .map(({ name: link, index, mac, ips, attachmentId }) => {
        return [link, index, mac, ips.filter((ip) => !ip.startsWith("fe80:")), attachmentId];
      });
  };
  await eventually("net1 is attached", async () => (await attached(client))[0]);
  // The kernel tells of that a moment later.
  await eventually("net1 is up", async () =>
    (await sandbox.run("ip", "-br", "link", "show", "net1")).includes(" UP ") ? true : undefined,
  );
  const held = cleanup.move();
  return {
    namespace: namespace.name,
    sandbox,
    networks,
    attached,
    async unplug() {
      await networks();
      await eventually("net1 is gone", async () =>
        (await sandbox.run("ip", "-o", "link")).includes("net1") ? undefined : true,
      );
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

let subnets = 0;

/** With addresses of its own, leased where host-local keeps them. */
export function bridgePlugin(bridge: string): object {
  subnets += 1;
  const ipam = { type: "host-local", ranges: [[{ subnet: `10.94.${subnets}.0/24` }]] };
  return { type: "bridge", bridge, ipam };
}

export async function leasesOf(network: string): Promise<readonly string[]> {
  const files = await readdir(join("/var/lib/cni/networks", network));
  return files.filter((file) => /^[\d.]+$/.test(file));
}

export function networkDefinition(namespace: string, name: string, plugins: readonly object[]): object {
  return {
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: { namespace, name },
    spec: { config: JSON.stringify({ cniVersion: "1.0.0", plugins }) },
  };
}

/** What the kernel tells of net1 from now on, a line each. */
export async function watchNet1(
  sandbox: PodSandbox,
): Promise<AsyncDisposable & { seen(): readonly string[] }> {
  const args = [`--net=${sandbox.netnsPath}`, "--", "ip", "monitor", "link", "address"];
  const child = spawn("nsenter", args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
  });
  // Its socket is known by its number.
  await eventually("it listens", async () =>
    (await readFile(`/proc/${child.pid}/net/netlink`, "utf8")).includes(` ${child.pid} `) ? true : undefined,
  );
  return {
    seen: () => output.split("\n").filter((line) => line.includes("net1")),
    async [Symbol.asyncDispose]() {
      const ended = once(child, "exit");
      child.kill();
      await ended;
    },
  };
}
