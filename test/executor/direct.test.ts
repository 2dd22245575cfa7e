import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { cniVersions } from "../../src/cni/versions.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { NetworkSelection } from "../../src/domain/selection.ts";
import type { CniAttachment, Executor, PreparedNetwork } from "../../src/executor/contract.ts";
import { createDirectExecutor } from "../../src/executor/direct.ts";
import { makeCni, untilDone } from "../cni/runtime.ts";
import { executorContract } from "../contracts/executor.ts";
import {
  fails,
  hangs,
  leavesDaemon,
  makePluginDirectory,
  type PluginDirectory,
  prints,
} from "../fixtures/plugins/plugin-directory.ts";

let plugins: PluginDirectory;
let executor: Executor;

beforeEach(async () => {
  plugins = await makePluginDirectory();
  executor = createDirectExecutor({ cni: makeCni([plugins.path]) });
});
afterEach(() => plugins[Symbol.asyncDispose]());

const everything = {
  ips: true,
  mac: true,
  portMappings: true,
  bandwidth: true,
  infinibandGUID: true,
  deviceID: true,
};

async function prepare(
  config: JsonObject,
  selection: NetworkSelection = {},
  deep = false,
): Promise<PreparedNetwork> {
  const text = JSON.stringify({ cniVersion: "1.0.0", name: "blue", ...config });
  const definition = { displayName: "demo/blue", source: "netAttachDef" as const, config: text };
  return executor.prepare(definition, selection, { deep }, untilDone);
}

const attachment = (prepared: PreparedNetwork): CniAttachment => ({
  ...prepared,
  executor: "direct",
  containerId: "sandbox-1",
  ifName: "net1",
  netnsPath: "/run/netns/a",
  cniArgs: [],
});

describe("like every executor", () => {
  executorContract(async (add) => {
    const result = { cniVersion: "1.0.0", interfaces: [{ name: "net1", sandbox: "/run/netns/a" }] };
    const behaviour = { succeeds: prints(result), fails: fails(100, "no more addresses"), hangs: hangs() };
    await plugins.add("bridge", { ADD: [behaviour[add]] });
    return {
      executor,
      definition: {
        displayName: "demo/blue",
        source: "netAttachDef",
        config: JSON.stringify({ cniVersion: "1.0.0", name: "blue", plugins: [{ type: "bridge" }] }),
      },
      ifName: "net1",
      runs: async () => (await plugins.order()).filter((run) => /ADD|DEL/.test(run)).length,
    };
  });
});

test("it speaks every released version of CNI", () => {
  expect(executor.name).toBe("direct");
  expect(executor.cniVersions).toEqual(cniVersions);
});

describe("preparing", () => {
  test("names the network and records a list with its one version and every unknown key", async () => {
    await plugins.add("bridge");
    const prepared = await prepare({
      cniVersions: ["0.4.0", "1.1.0"],
      "x-ours": [1],
      plugins: [{ type: "bridge", ipam: {}, "x-own": null }],
    });
    expect(prepared.networkName).toBe("blue");
    expect(prepared.capabilityArgs).toEqual({});
    expect(JSON.parse(prepared.config)).toEqual({
      cniVersion: "1.1.0",
      name: "blue",
      "x-ours": [1],
      plugins: [{ type: "bridge", ipam: {}, "x-own": null }],
    });
  });

  test("merges the selection's arguments into every plugin's, where they win", async () => {
    await plugins.add("bridge");
    const { config } = await prepare(
      {
        plugins: [
          { type: "bridge", args: { labels: ["a"], cni: { keep: 1, vlan: 2 } } },
          { type: "bridge", args: null },
        ],
      },
      { cniArgs: { vlan: 7, trunk: [1, 2] } },
    );
    expect(JSON.parse(config)).toMatchObject({
      plugins: [
        { args: { labels: ["a"], cni: { keep: 1, vlan: 7, trunk: [1, 2] } } },
        { args: { cni: { vlan: 7, trunk: [1, 2] } } },
      ],
    });
  });

  test("asks by the names of CNI's conventions", async () => {
    await plugins.add("bridge");
    const { capabilityArgs } = await prepare(
      { plugins: [{ type: "bridge", capabilities: everything }] },
      {
        ips: ["10.0.0.5/24", "fd00::5"],
        mac: "02:00:00:00:00:05",
        portMappings: [
          { hostPort: 8080, containerPort: 80 },
          { hostPort: 53, containerPort: 53, protocol: "udp", hostIp: "192.0.2.1" },
        ],
        bandwidth: { ingressRate: 1000, ingressBurst: 2000 },
        infinibandGuid: "24:8a:07:03:00:8d:ae:2e",
        deviceId: "0000:3b:00.2",
      },
    );
    expect(capabilityArgs).toEqual({
      ips: ["10.0.0.5/24", "fd00::5"],
      mac: "02:00:00:00:00:05",
      portMappings: [
        { hostPort: 8080, containerPort: 80, protocol: "tcp" },
        { hostPort: 53, containerPort: 53, protocol: "udp", hostIP: "192.0.2.1" },
      ],
      bandwidth: { ingressRate: 1000, ingressBurst: 2000, egressRate: 0, egressBurst: 0 },
      infinibandGUID: "24:8a:07:03:00:8d:ae:2e",
      deviceID: "0000:3b:00.2",
    });
  });

  test.each<[keyof typeof everything, NetworkSelection]>([
    ["ips", { ips: ["10.0.0.5/24"] }],
    ["mac", { mac: "02:00:00:00:00:05" }],
    ["portMappings", { portMappings: [{ hostPort: 1, containerPort: 1 }] }],
    ["bandwidth", { bandwidth: { ingressRate: 1 } }],
    ["infinibandGUID", { infinibandGuid: "24:8a:07:03:00:8d:ae:2e" }],
  ])("refuses %s when no plugin declares it", async (capability, selection) => {
    await plugins.add("bridge");
    const declared = { ...everything, [capability]: false };
    await expect(
      prepare({ plugins: [{ type: "bridge", capabilities: declared }] }, selection),
    ).rejects.toMatchObject({
      reason: "CAPABILITY_NOT_DECLARED",
      message: expect.stringContaining(capability),
    });
  });

  test.each<[string, NetworkSelection]>([
    ["default-route", { defaultRoute: { gateways: ["10.0.0.1"] } }],
    ["ipam-claim-reference", { ipamClaimReference: "claim" }],
  ])("asks no plugin for %s", async (_key, selection) => {
    await plugins.add("bridge");
    const plain = await prepare({ plugins: [{ type: "bridge" }] });
    expect(await prepare({ plugins: [{ type: "bridge" }] }, selection)).toEqual(plain);
  });

  test("writes the device into every plugin's configuration, whether or not one declares it", async () => {
    await plugins.add("sriov");
    await plugins.add("tuning");
    const { config } = await prepare(
      { plugins: [{ type: "sriov", deviceID: "old" }, { type: "tuning" }] },
      { deviceId: "0000:3b:00.2", cniArgs: { vlan: 7 } },
    );
    const device = { deviceID: "0000:3b:00.2", pciBusID: "0000:3b:00.2", args: { cni: { vlan: 7 } } };
    expect(JSON.parse(config)).toMatchObject({
      plugins: [
        { type: "sriov", ...device },
        { type: "tuning", ...device },
      ],
    });
  });

  test("gives a rate without a burst the largest one, and no burst to no rate", async () => {
    await plugins.add("bandwidth");
    const { capabilityArgs } = await prepare(
      { plugins: [{ type: "bandwidth", capabilities: everything }] },
      { bandwidth: { ingressRate: 1000 } },
    );
    expect(capabilityArgs["bandwidth"]).toEqual({
      ingressRate: 1000,
      ingressBurst: 2147483647,
      egressRate: 0,
      egressBurst: 0,
    });
  });

  test("names the definition whose configuration can't be used, and the key", async () => {
    await expect(prepare({ plugins: [{ type: "a/b" }] })).rejects.toMatchObject({
      reason: "INVALID_NETWORK",
      message: expect.stringMatching(/network demo\/blue .*plugins\[0\]\.type/),
    });
  });

  test("misses a plugin that isn't installed", async () => {
    await plugins.add("bridge");
    await expect(prepare({ plugins: [{ type: "bridge" }, { type: "tuning" }] })).rejects.toMatchObject({
      reason: "PLUGIN_NOT_FOUND",
      plugin: "tuning",
    });
  });

  test("runs no plugin unless it goes deep", async () => {
    await plugins.add("bridge");
    await prepare({ cniVersion: "1.1.0", plugins: [{ type: "bridge" }] });
    expect(await plugins.order()).toEqual([]);
  });
});

describe("preparing deeply", () => {
  const deeply = (config: JsonObject): Promise<PreparedNetwork> => prepare(config, {}, true);

  test("asks each plugin once for its versions, and from 1.1.0 on for its status", async () => {
    await plugins.add("first");
    await plugins.add("second");
    const chain = [{ type: "first" }, { type: "second" }, { type: "first" }];
    await deeply({ plugins: chain });
    expect(await plugins.order()).toEqual(["first VERSION", "second VERSION"]);
    await deeply({ cniVersion: "1.1.0", plugins: [{ type: "second" }] });
    expect((await plugins.order()).slice(2)).toEqual(["second VERSION", "second STATUS"]);
  });

  test("refuses a version that a plugin doesn't speak", async () => {
    await plugins.add("old", {
      VERSION: [prints({ cniVersion: "0.4.0", supportedVersions: ["0.3.1", "0.4.0"] })],
    });
    await expect(deeply({ plugins: [{ type: "old" }] })).rejects.toMatchObject({
      reason: "VERSION_UNSUPPORTED",
      plugin: "old",
      message: expect.stringContaining("0.3.1, 0.4.0"),
    });
    await deeply({ cniVersion: "0.4.0", plugins: [{ type: "old" }] });
  });

  test("takes a plugin that knows no VERSION for one of 0.1.0", async () => {
    await plugins.add("ancient", { VERSION: [fails(4, "unknown CNI_COMMAND: VERSION")] });
    await deeply({ cniVersion: "0.1.0", plugins: [{ type: "ancient" }] });
    await expect(deeply({ plugins: [{ type: "ancient" }] })).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      plugin: "ancient",
    });
  });

  test.each([50, 51])("passes on why a plugin isn't ready: code %d", async (code) => {
    await plugins.add("bridge", { STATUS: [fails(code, "daemon is away")] });
    await expect(deeply({ cniVersion: "1.1.0", plugins: [{ type: "bridge" }] })).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      cniCode: code,
      message: expect.stringContaining("daemon is away"),
    });
  });
});

describe("what was prepared", () => {
  test("is added, checked and deleted with the recorded configuration and arguments", async () => {
    await plugins.add("bridge", { ADD: [prints({ cniVersion: "1.0.0", interfaces: [{ name: "net1" }] })] });
    const prepared = await prepare(
      { plugins: [{ type: "bridge", capabilities: { ips: true } }] },
      { ips: ["10.0.0.5/24"], cniArgs: { vlan: 7 } },
    );
    const recorded = attachment(prepared);
    const result = await executor.add(recorded, untilDone);
    await executor.check(recorded, result, untilDone);
    await executor.del(recorded, result, untilDone);
    const [add, check, del] = await plugins.calls();
    expect(add?.request).toEqual({
      cniVersion: "1.0.0",
      name: "blue",
      type: "bridge",
      args: { cni: { vlan: 7 } },
      runtimeConfig: { ips: ["10.0.0.5/24"] },
    });
    expect(check?.request).toEqual({ ...add?.request, prevResult: result });
    expect(del?.request).toEqual({ ...add?.request, prevResult: result });
  });

  test("is collected when it isn't in the valid set", async () => {
    await plugins.add("bridge");
    const { config } = await prepare({ cniVersion: "1.1.0", plugins: [{ type: "bridge" }] });
    await executor.gc(config, [{ containerId: "sandbox-1", ifName: "net1" }], untilDone);
    const [call] = await plugins.calls();
    expect(call?.request).toMatchObject({
      "cni.dev/valid-attachments": [{ containerID: "sandbox-1", ifname: "net1" }],
    });
  });

  test.each([
    ["PLUGIN_TIMEOUT", () => new DOMException("too late", "TimeoutError")],
    ["CANCELED", () => new Error("the caller left")],
  ])("ends with %s when its signal aborts, and nothing of it runs on", async (reason, makeCause) => {
    await plugins.add("bridge", { ADD: [leavesDaemon(), hangs()] });
    const prepared = await prepare({ plugins: [{ type: "bridge" }] });
    const controller = new AbortController();
    const outcome = executor.add(attachment(prepared), controller.signal);
    outcome.catch(() => {});
    await expect.poll(() => plugins.order()).toEqual(["bridge ADD"]);
    const [call] = await plugins.calls();
    const marker = call?.env["PODPLUG_RUN"] ?? "";
    await expect.poll(async () => (await findMarkedProcesses(marker)).length).toBeGreaterThan(1);
    controller.abort(makeCause());
    await expect(outcome).rejects.toMatchObject({ reason, plugin: "bridge" });
    expect(await findMarkedProcesses(marker)).toEqual([]);
  });

  test("rejects rather than throws when its record is damaged", async () => {
    const damaged = attachment({ networkName: "blue", config: "{", capabilityArgs: {}, cniArgs: [] });
    for (const attempt of [
      executor.add(damaged, untilDone),
      executor.del(damaged, undefined, untilDone),
      executor.check(damaged, {}, untilDone),
      executor.gc("{", [], untilDone),
    ]) {
      await expect(attempt).rejects.toMatchObject({ reason: "INVALID_NETWORK" });
    }
  });
});
