import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { NetworkSelection } from "../../src/domain/selection.ts";
import type { CniAttachment, Executor, PreparedNetwork } from "../../src/executor/contract.ts";
import { createDirectExecutor } from "../../src/executor/direct.ts";
import { createKactusExecutor } from "../../src/executor/kactus.ts";
import { makeCni, untilDone } from "../cni/runtime.ts";
import { executorContract } from "../contracts/executor.ts";
import {
  fails,
  hangs,
  makePluginDirectory,
  type PluginDirectory,
  prints,
} from "../fixtures/plugins/plugin-directory.ts";
import { failure } from "../support/failure.ts";

/** In kactus's place: what it is asked is written down, and its answer is one of the bridge's. */
let plugins: PluginDirectory;
let confDir: string;
let executor: Executor;

const own = { cniVersion: "0.3.1", name: "kactus-net", type: "kactus", delegates: [{ type: "flannel" }] };
const dataName = "net8d777f385d3d";
const result = {
  cniVersion: "0.3.1",
  interfaces: [{ name: dataName, mac: "02:00:00:00:00:05", sandbox: "/run/netns/a" }],
  ips: [{ version: "4", interface: 0, address: "172.20.1.10/24" }],
};

beforeEach(async () => {
  plugins = await makePluginDirectory();
  confDir = await mkdtemp(join(tmpdir(), "podplug-kactus-"));
  await writeFile(join(confDir, "00-kactus.conf"), JSON.stringify(own));
  await writeFile(join(confDir, "10-other.conflist"), "{");
  await writeFile(join(confDir, "00-a-note.txt"), "not a configuration");
  await plugins.add("kactus", { ADD: [prints(result)], CHECK: [fails(100, "not implemented")] });
  const cni = makeCni([plugins.path]);
  executor = createKactusExecutor({ cni, direct: createDirectExecutor({ cni }), confDir });
});
afterEach(async () => {
  await plugins[Symbol.asyncDispose]();
  await rm(confDir, { recursive: true });
});

/** As kubelet gives them. */
const podArgs = [
  ["IgnoreUnknown", "true"],
  ["K8S_POD_NAMESPACE", "demo"],
  ["K8S_POD_NAME", "web"],
  ["K8S_POD_INFRA_CONTAINER_ID", "c0ffee"],
  ["K8S_POD_UID", "uid-1"],
] as const;

const data = {
  displayName: "default/data",
  source: "kaloom",
  config: JSON.stringify({ cniVersion: "0.3.1", name: "data", plugins: [{ type: "bridge" }] }),
} as const;

interface Asked {
  readonly definition?: Parameters<Executor["prepare"]>[0];
  readonly ifName?: string;
  readonly deep?: boolean;
}

async function prepare(
  selection: NetworkSelection = {},
  { definition = data, ifName = dataName, deep = false }: Asked = {},
): Promise<PreparedNetwork> {
  const options = { deep, attachment: { ifName, cniArgs: podArgs } };
  return await executor.prepare(definition, { name: "data", ...selection }, options, untilDone);
}

const attachment = (prepared: PreparedNetwork): CniAttachment => ({
  ...prepared,
  executor: "kactus",
  containerId: "c0ffee",
  ifName: dataName,
  netnsPath: "/run/netns/a",
});

describe("like every executor", () => {
  executorContract(async (add) => {
    const behaviour = { succeeds: prints(result), fails: fails(100, "no such network"), hangs: hangs() };
    await plugins.add("kactus", { ADD: [behaviour[add]], CHECK: [fails(100, "not implemented")] });
    return {
      executor,
      definition: data,
      ifName: dataName,
      runs: async () => (await plugins.order()).filter((run) => /ADD|DEL/.test(run)).length,
    };
  });
});

test("the node's first configuration is run, with the Network and its hardware address in CNI_ARGS as podagent has them", async () => {
  const prepared = await prepare({ mac: "02:00:00:00:00:05" });
  expect(await executor.add(attachment(prepared), untilDone)).toEqual(result);
  const [add] = await plugins.calls();
  expect(add).toMatchObject({
    type: "kactus",
    command: "ADD",
    request: own,
    env: {
      CNI_CONTAINERID: "c0ffee",
      CNI_NETNS: "/run/netns/a",
      CNI_IFNAME: dataName,
      CNI_ARGS:
        "IgnoreUnknown=1;K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c0ffee;K8S_POD_NETWORK=data;K8S_POD_IFMAC=02:00:00:00:00:05",
    },
  });
});

test("without a hardware address K8S_POD_IFMAC is empty", async () => {
  await executor.add(attachment(await prepare()), untilDone);
  const [add] = await plugins.calls();
  expect(add?.env["CNI_ARGS"]).toMatch(/;K8S_POD_NETWORK=data;K8S_POD_IFMAC=$/);
});

test("DEL runs what was recorded, also after the node's configuration changed", async () => {
  const recorded = attachment(await prepare({ mac: "02:00:00:00:00:05" }));
  await writeFile(join(confDir, "00-a-later.conf"), JSON.stringify({ ...own, type: "another" }));
  await executor.del({ ...recorded, netnsPath: undefined }, undefined, untilDone);
  const [del] = await plugins.calls();
  expect(del).toMatchObject({ type: "kactus", command: "DEL", request: own });
  expect(del?.env).toMatchObject({
    CNI_NETNS: "",
    CNI_ARGS: expect.stringContaining("K8S_POD_NETWORK=data"),
  });
});

test("CHECK isn't asked, as kactus has none", async () => {
  const recorded = attachment(await prepare());
  await executor.check(recorded, result, untilDone);
  expect(await plugins.order()).toEqual([]);
});

test("GC is refused: its network is the cluster's own", async () => {
  const { config } = await prepare();
  await expect(executor.gc(config, [], untilDone)).rejects.toEqual(failure("UNSUPPORTED", "cni.gc"));
  expect(await plugins.order()).toEqual([]);
});

test.each<[string, NetworkSelection]>([
  ["ips", { ips: ["172.20.1.77/24"] }],
  ["bandwidth", { bandwidth: { ingressRate: 1000 } }],
  ["portMappings", { portMappings: [{ hostPort: 80, containerPort: 80 }] }],
  ["infinibandGUID", { infinibandGuid: "c2:11:22:33:44:55:66:77" }],
  ["deviceID", { deviceId: "0000:03:02.0" }],
  ["cni-args", { cniArgs: { vlan: 7 } }],
])("what kactus would drop is refused: %s", async (what, selection) => {
  await expect(prepare(selection)).rejects.toEqual(failure("UNSUPPORTED", what));
});

test.each([
  { displayName: "demo/data", source: "netAttachDef", config: data.config } as const,
  { displayName: "data", source: "directory", config: data.config } as const,
  { displayName: "inline", source: "inline", config: data.config } as const,
])("a network that kactus doesn't look for is refused: $source", async (definition) => {
  await expect(prepare({}, { definition })).rejects.toEqual(failure("UNSUPPORTED", definition.displayName));
});

test("another name than kactus gives is refused, so that its DEL takes nobody else's interface away", async () => {
  await expect(prepare({ interface: "eth1" }, { ifName: "eth1" })).rejects.toEqual(
    failure("UNSUPPORTED", dataName),
  );
  await expect(prepare({}, { ifName: "net0123456789ab" })).rejects.toEqual(failure("UNSUPPORTED", dataName));
});

test("a default route is podplug's own affair", async () => {
  expect(await prepare({ defaultRoute: { gateways: ["172.20.1.1"] } })).toMatchObject({ capabilityArgs: {} });
});

test("without a configuration of the node, or with one that can't be read, the directory or the file is named", async () => {
  await writeFile(join(confDir, "00-kactus.conf"), "{");
  await expect(prepare()).rejects.toEqual(failure("INVALID_NETWORK", join(confDir, "00-kactus.conf")));
  await rm(join(confDir, "00-kactus.conf"));
  await rm(join(confDir, "10-other.conflist"));
  await expect(prepare()).rejects.toEqual(failure("INVALID_NETWORK", confDir));
});

test("a plugin that isn't there is told before anything runs, and a dry run asks it for its versions", async () => {
  await prepare({}, { deep: true });
  expect(await plugins.order()).toEqual(["kactus VERSION"]);
  await writeFile(join(confDir, "00-kactus.conf"), JSON.stringify({ ...own, type: "absent" }));
  await expect(prepare()).rejects.toEqual(failure("PLUGIN_NOT_FOUND", "absent"));
});
