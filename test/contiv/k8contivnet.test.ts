import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { startAgentProgram } from "../agent/agent-program.ts";
import { type FakeCriRuntime, startFakeCriRuntime } from "../fakes/fake-cri-runtime.ts";
import { makePodNode } from "../faults/pod-node.ts";
import { eventually } from "../server/eventually.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { example } from "./example.ts";

const execute = promisify(execFile);
const program = join(import.meta.dirname, "../../bin/k8contivnet");
const patience = { timeout: 120_000 };

async function run(configFile: string, ...args: readonly string[]) {
  const env = { ...process.env, PODPLUG_CONFIG: configFile };
  return await execute(program, args, { env }).then(
    (out) => ({ code: 0, ...out }),
    (error: { readonly code: number; readonly stdout: string; readonly stderr: string }) => error,
  );
}

const silent = { code: 0, stdout: "", stderr: "" };

describe("on a node without a controller", () => {
  const cleanup = new AsyncDisposableStack();
  let runtime: FakeCriRuntime;
  let node: TestNode;
  let netns: TestNetns;
  let infra: string;
  let intentFile: string;

  beforeAll(async () => {
    runtime = cleanup.use(
      await startFakeCriRuntime({ addNetns: () => "", hasNetns: () => false, removePath: () => undefined }),
    );
    const directory = await mkdtemp(join(tmpdir(), "podplug-contiv-"));
    cleanup.defer(() => rm(directory, { recursive: true }));
    intentFile = join(directory, "intent.json");
    await writeFile(intentFile, JSON.stringify(example));
    node = cleanup.use(
      await makeNode({
        config: {
          nodeName: "host1",
          runtime: "cri",
          criSocketPath: runtime.socketPath,
          contiv: { intentFile },
          log: { level: "info", format: "json" },
        },
      }),
    );
    cleanup.use(await startAgentProgram(node.configFile));
    netns = cleanup.use(await makeNetns("pod"));
    await netns.ip("link", "add", "eth0", "type", "bridge");
    await netns.ip("addr", "add", "10.88.0.5/16", "dev", "eth0");
    infra = runtime.addPod({ namespace: "demo", name: "container1" }, { netnsPath: netns.path }).sandboxId;
  }, patience.timeout);
  afterAll(() => cleanup.disposeAsync(), patience.timeout);

  async function addresses(): Promise<readonly string[]> {
    const links = await netns.ipJson<IpLink[]>("addr");
    return links.flatMap(({ ifname, addr_info: own }) => own.map(({ local }) => `${ifname} ${local}`));
  }

  test(
    "setup plugs what the intent has for the pod, once, and teardown takes it away",
    patience,
    async () => {
      const plugged = ["eth0 10.88.0.5", "net1 11.1.0.1"];
      expect(await run(node.configFile, "setup", "demo", "container1", infra)).toMatchObject(silent);
      expect(await addresses()).toEqual(plugged);
      expect(await run(node.configFile, "setup", "demo", "container1", infra)).toMatchObject(silent);
      expect(await addresses()).toEqual(plugged);
      expect(await run(node.configFile, "teardown", "demo", "container1", infra)).toMatchObject(silent);
      expect(await addresses()).toEqual(["eth0 10.88.0.5"]);
      expect(await node.journalFiles()).toEqual([]);
    },
  );

  test(
    "the infra container's labels decide whose pod it is, as with the usage's order of arguments",
    patience,
    async () => {
      expect(await run(node.configFile, "setup", "container1", "demo", infra)).toMatchObject(silent);
      expect(await addresses()).toEqual(["eth0 10.88.0.5", "net1 11.1.0.1"]);
      expect(await run(node.configFile, "teardown", "container1", "demo", infra)).toMatchObject(silent);
      expect(await addresses()).toEqual(["eth0 10.88.0.5"]);
    },
  );

  test("a caller's cni-args lead a network nowhere else, and hold up no detach", patience, async () => {
    await using api = createNodeClient({ server: `unix://${node.socket}` });
    const target = { kind: "container", containerId: infra } as const;
    const cniArgs = { uplink: "vxlan 6 192.168.2.10" };
    const orange = { name: "orange", namespace: "tenant-one", source: "contiv", ips: ["11.1.0.1"] } as const;
    const signal = AbortSignal.timeout(60_000);
    const { interface: plugged } = await api.attach({ target, network: { ...orange, cniArgs } }, signal);
    const { stdout } = await execute("ip", ["-o", "link"]);
    expect(stdout.match(/ppvx[^@: ]+(?=[@:])/g)).toEqual(["ppvx10001", "ppvx10001-up"]);
    const { attachmentId } = plugged;
    expect(await api.detach({ target, which: { by: "id", attachmentId } }, signal)).toMatchObject({
      detached: true,
    });
    expect(await node.journalFiles()).toEqual([]);
  });

  test.each([
    ["with a fault", JSON.stringify({ ...example, Hosts: [{ Name: "host1", VtepIp: "192.168.2" }] })],
    ["that is cut off", JSON.stringify(example).slice(0, -2)],
  ])("an intent %s keeps back the pods that it names, and no other", patience, async (_what, text) => {
    onTestFinished(() => writeFile(intentFile, JSON.stringify(example)));
    await writeFile(intentFile, text);
    await using own = await makeNetns("other");
    const other = { namespace: "demo", name: "container" };
    const { sandboxId } = runtime.addPod(other, { netnsPath: own.path });
    expect(await run(node.configFile, "setup", "demo", "container", sandboxId)).toMatchObject(silent);
    const { code, stderr } = await run(node.configFile, "setup", "demo", "container1", infra);
    expect(code).toBe(1);
    expect(stderr).toContain("INVALID_NETWORK");
    expect(await addresses()).toEqual(["eth0 10.88.0.5"]);
    runtime.stopPod(other);
  });

  test("an intent that can't be read may be for any pod", patience, async () => {
    onTestFinished(() => writeFile(intentFile, JSON.stringify(example)));
    await rm(intentFile);
    await using own = await makeNetns("other");
    const other = { namespace: "demo", name: "other" };
    const { sandboxId } = runtime.addPod(other, { netnsPath: own.path });
    const { code, stderr } = await run(node.configFile, "setup", "demo", "other", sandboxId);
    runtime.stopPod(other);
    expect(code).toBe(1);
    expect(stderr).toContain("it can't be read");
  });

  test("status prints the address of the pod's own network", patience, async () => {
    const { code, stdout } = await run(node.configFile, "status", "demo", "container1", infra);
    expect(code).toBe(0);
    expect(stdout).toBe('{"apiVersion":"v1beta1","kind":"PodNetworkStatus","ip":"10.88.0.5"}\n');
  });

  test("a container that is gone is torn down, and not found by the others", patience, async () => {
    expect(await run(node.configFile, "teardown", "demo", "gone", "f00")).toMatchObject(silent);
    for (const command of ["setup", "status"]) {
      const { code, stdout, stderr } = await run(node.configFile, command, "demo", "gone", "f00");
      expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
      expect(stderr).toContain("TARGET_NOT_FOUND");
    }
  });

  test("a container that has exited is torn down, and the agent cleans up after it", patience, async () => {
    const ref = { namespace: "demo", name: "container1" };
    const own = await makeNetns("ended");
    const { sandboxId } = runtime.addPod(ref, { netnsPath: own.path });
    expect(await run(node.configFile, "setup", "demo", "container1", sandboxId)).toMatchObject(silent);
    expect(await node.journalFiles()).toHaveLength(1);
    runtime.stopPod(ref);
    expect(await run(node.configFile, "teardown", "demo", "container1", sandboxId)).toMatchObject(silent);
    await own[Symbol.asyncDispose]();
    await eventually(async () => (await node.journalFiles()).length === 0, "nothing is left");
  });
});

test("on a node with a controller, setup waits until that has plugged", patience, async () => {
  const directory = await mkdtemp(join(tmpdir(), "podplug-contiv-"));
  const intentFile = join(directory, "intent.json");
  await writeFile(intentFile, JSON.stringify({ ...example, Hosts: [{ ...example.Hosts[0], Name: "here" }] }));
  await using node = await makePodNode({ config: { contiv: { intentFile, hostLabel: "here" } } });
  const pod = await node.startPod("container1");
  const [own] = await node.client.list({ target: pod.target }, AbortSignal.timeout(30_000));
  const { configFile } = node.node;
  expect(await run(configFile, "setup", "demo", "container1", own?.sandboxId ?? "")).toMatchObject(silent);
  const views = await node.client.list({ target: pod.target }, AbortSignal.timeout(30_000));
  expect(views.filter(({ attachmentId }) => attachmentId !== "")).toMatchObject([
    { network: "tenant-one/orange", owner: "intent/contiv", state: "attached", ips: ["11.1.0.1/24"] },
  ]);
  expect(await run(configFile, "teardown", "demo", "container1", own?.sandboxId ?? "")).toMatchObject(silent);
  await rm(directory, { recursive: true });
});

describe("without an agent", () => {
  test("init and help succeed, through a link too", async () => {
    const directory = await mkdtemp(join(tmpdir(), "podplug-contiv-"));
    await symlink(program, join(directory, "k8contivnet"));
    const { stdout } = await execute(join(directory, "k8contivnet"), ["init"]);
    expect(stdout).toBe("");
    expect((await run("/nonexistent", "help")).stdout).toContain("setup ");
    await rm(directory, { recursive: true });
  });

  test("the others say what is missing", async () => {
    await using node = await makeNode();
    const unreachable = await run(node.configFile, "status", "demo", "web", "f00");
    expect(unreachable).toMatchObject({ code: 5, stdout: "" });
    expect(unreachable.stderr).toContain("UNREACHABLE");
    const unconfigured = await run("/nonexistent/config.yaml", "status", "demo", "web", "f00");
    expect(unconfigured).toMatchObject({ code: 2, stdout: "" });
    expect(unconfigured.stderr).toContain("/nonexistent/config.yaml");
  });

  test.each([
    [],
    ["frob"],
    ["setup"],
    ["setup", "demo", "web"],
    ["setup", "Demo", "web", "f00"],
    ["status", "a", "b", "c", "d"],
  ])("arguments that are none are told with the usage: %j", async (...args) => {
    const { code, stderr } = await run("/nonexistent", ...args);
    expect(code).toBe(2);
    expect(stderr).toContain("Usage: k8contivnet");
  });
});
