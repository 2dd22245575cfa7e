import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { eventually, run, useCluster } from "./support/cluster.ts";
import { startDocker } from "./support/docker.ts";
import { type BuiltImage, buildImage, makeImageContext } from "./support/image.ts";
import { type Installation, type InstallationOptions, install } from "./support/installation.ts";
import {
  bridgePlugin,
  leasesOf,
  networkDefinition,
  startPluggedPod,
  watchNet1,
} from "./support/plugged-pod.ts";
import { followTutorial } from "./support/tutorial.ts";

/* podplug's image, built by the node's Docker and run by its kubelet as the manifests have it. */

const cluster = useCluster();
let image: BuiltImage;
/** Of each installation. */
const readySeconds: number[] = [];

beforeAll(async () => {
  await using docker = await startDocker(cluster);
  const { socketPath } = docker;
  const context = await makeImageContext(cluster);
  image = await buildImage({ socketPath, context, version: packageJson.version });
  await buildImage({ socketPath, context, version: "next" });
});

test("the image is small, and says which version of what it is", () => {
  expect(image.compressedBytes).toBeLessThan(60_000_000);
  expect(image.labels).toMatchObject({
    "org.opencontainers.image.version": packageJson.version,
    "org.opencontainers.image.revision": "0123456789abcdef",
    "org.opencontainers.image.licenses": "Apache-2.0",
  });
});

describe.each([
  ["as it is shipped", []],
  ["with least privilege", ["least-privilege"]],
])("the DaemonSet %s", (_how, components) => {
  let installation: Installation;
  beforeAll(async () => {
    installation = await installTimed({ components });
  });
  afterAll(() => installation[Symbol.asyncDispose]());
  const plugged = (name: string, plugins?: readonly object[]) =>
    startPluggedPod(cluster, installation.client, name, plugins);

  test("does what the tutorial says", async () => {
    await followTutorial({ withAgent: false });
  });

  test("hears of a link that is deleted by hand, and makes it again", async () => {
    await using pod = await plugged("healed");
    await pod.sandbox.run("ip", "link", "delete", "net1");
    await eventually("net1 is back", () => pod.sandbox.run("ip", "link", "show", "net1"));
  });

  test("runs podplug's own plugin, with the image's tools", async () => {
    const uplink = { type: "podplug-uplink", uplink: "vxlan 4711 127.0.0.1" };
    await using pod = await plugged("tenant", [uplink, bridgePlugin("ppvx4711")]);
    expect(await run("ip", ["-d", "link", "show", "ppvx4711-up"])).toContain("vxlan id 4711");
    await pod.unplug();
    // Of the chain's plugins the last is the first to end its work.
    await eventually("its bridge is gone too", async () =>
      (await run("ip", ["-o", "link"])).includes("ppvx4711") ? undefined : true,
    );
  });

  test("touches no interface when it is updated, and plugs nothing twice", async () => {
    await using pod = await plugged("updated");
    const before = await pod.attached(installation.client);
    await using net1 = await watchNet1(pod.sandbox);
    const { metadata } = await installation.pod();
    await installation.kubectl("set", "image", "daemonset/podplug-agent", "agent=podplug:next");
    await installation.kubectl("rollout", "status", "daemonset", "podplug-agent", "--timeout=120s");
    expect((await installation.pod()).metadata.name).not.toBe(metadata.name);
    expect(await pod.attached(installation.client)).toEqual(before);
    expect(net1.seen()).toEqual([]);
    await pod.unplug();
    await eventually("that was seen", async () => net1.seen().find((line) => line.startsWith("Deleted")));
  });

  test("when it is killed takes the plugin along that ran, undoes that one's work, and touches nothing else", async () => {
    await using gate = await makeGate();
    await using pod = await plugged("killed");
    const before = await pod.attached(installation.client);
    await cluster.apply(
      networkDefinition(pod.namespace, "slow", [{ ...bridgePlugin("slow0"), type: gate.type }]),
    );
    await pod.networks("data@net1,slow@net2");
    await eventually("the bridge is done", () => gate.arrival());
    const pid = await installation.pid();
    process.kill(pid, "SIGKILL");
    await eventually("the plugin ended with its container", async () =>
      (await findMarkedProcesses("")).length === 0 ? true : undefined,
    );
    await gate.open();
    await eventually("another agent", async () => ((await installation.pid()) === pid ? undefined : true));
    const after = await eventually("it is plugged", async () => {
      const attached = await pod.attached(installation.client);
      return attached.length === 2 ? attached : undefined;
    });
    expect(after.filter(([name]) => name === "net1")).toEqual(before);
    expect(await leasesOf("slow")).toHaveLength(1);
  });
});

test("what stays when it is removed are interfaces, records and two folders; who is installed next knows them", async () => {
  const mountsBefore = await ownMounts();
  const first = await installTimed();
  await using pod = await startPluggedPod(cluster, first.client, "left");
  const before = await pod.attached(first.client);
  await using net1 = await watchNet1(pod.sandbox);
  const pid = await first.pid();
  await first[Symbol.asyncDispose]();
  await expect.poll(ownMounts).toEqual(mountsBefore);
  await expect(readFile(`/proc/${pid}/cmdline`)).rejects.toThrow();
  await expect.poll(() => findMarkedProcesses("")).toEqual([]);
  expect(await namesIn("/run/podplug")).toEqual(["podplug.sock.lock", "uplinks"]);
  expect(await namesIn("/var/lib/podplug")).toEqual(["damaged", "lock", "results"]);
  expect(await namesIn("/var/lib/podplug/results")).toHaveLength(1);
  expect(net1.seen()).toEqual([]);

  await using second = await installTimed();
  expect(await pod.attached(second.client)).toEqual(before);
  await pod.unplug();
  await eventually("nothing is recorded", async () =>
    (await namesIn("/var/lib/podplug/results")).length === 0 ? true : undefined,
  );
});

test("an agent is ready within five seconds of its container's start", () => {
  expect(readySeconds).toHaveLength(4);
  // The quickest one: the machine may be busy with something else.
  expect(Math.min(...readySeconds)).toBeLessThanOrEqual(5);
});

async function installTimed(options?: InstallationOptions): Promise<Installation> {
  const installation = await install(cluster, options);
  readySeconds.push(installation.readySeconds);
  return installation;
}

/** A bridge that waits once ADD is done. */
async function makeGate() {
  const folder = join(await cluster.makeFolder(), "gate");
  await mkdir(folder);
  const [shut, arrived] = [join(folder, "shut"), join(folder, "arrived")];
  const type = `gate-${randomBytes(4).toString("hex")}`;
  const program = join(cluster.cni.binDir, type);
  await writeFile(shut, "");
  const script = `#!/bin/sh
answer=$('${cluster.cni.binDir}/bridge')
code=$?
if [ "$CNI_COMMAND" = ADD ]; then
  touch '${arrived}'
  while [ -e '${shut}' ]; do sleep 0.05; done
fi
printf '%s' "$answer"
exit $code
`;
  await writeFile(program, script, { mode: 0o755 });
  return {
    type,
    arrival: () => readFile(arrived),
    open: () => rm(shut),
    [Symbol.asyncDispose]: () => rm(program),
  };
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder)).toSorted();
}

/** Of the node, but for the lane's own. */
async function ownMounts(): Promise<readonly string[]> {
  const mounts = await readFile("/proc/1/mounts", "utf8");
  return mounts.split("\n").filter((line) => /podplug(?!-cluster)/.test(line));
}
