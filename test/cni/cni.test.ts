import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Cni, NetworkAttachment } from "../../src/cni/cni.ts";
import { readNetworkList } from "../../src/cni/network-list.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import {
  complains,
  fails,
  makePluginDirectory,
  type PluginDirectory,
  prints,
} from "../fixtures/plugins/plugin-directory.ts";
import { makeCni, recordingLogger, untilDone } from "./runtime.ts";

let plugins: PluginDirectory;
let cni: Cni;

beforeEach(async () => {
  plugins = await makePluginDirectory();
  cni = makeCni([plugins.path]);
});
afterEach(() => plugins[Symbol.asyncDispose]());

const addressed = (address: string): JsonObject => ({
  cniVersion: "1.0.0",
  interfaces: [{ name: "net1", sandbox: "/run/netns/a" }],
  ips: [{ address, interface: 0 }],
});

function attachment(config: JsonObject, overrides: Partial<NetworkAttachment> = {}): NetworkAttachment {
  return {
    network: readNetworkList(JSON.stringify({ name: "blue", cniVersion: "1.0.0", ...config }), {
      source: "blue",
    }),
    containerId: "sandbox-1",
    ifName: "net1",
    netnsPath: "/run/netns/a",
    cniArgs: [
      ["IgnoreUnknown", "true"],
      ["K8S_POD_NAME", "web"],
    ],
    capabilityArgs: {},
    ...overrides,
  };
}

const chain = { plugins: [{ type: "first" }, { type: "second" }, { type: "third" }] };

async function addChain(on: Parameters<PluginDirectory["add"]>[1] = {}): Promise<void> {
  for (const type of ["first", "second", "third"]) await plugins.add(type, on);
}

describe("ADD", () => {
  test("runs the plugins in order and hands each the result before it", async () => {
    await plugins.add("first", { ADD: [prints(addressed("10.0.0.1/24"))] });
    await plugins.add("second", { ADD: [prints(addressed("10.0.0.2/24"))] });
    await plugins.add("third", { ADD: [prints(addressed("10.0.0.3/24"))] });

    expect(await cni.add(attachment(chain), untilDone)).toEqual(addressed("10.0.0.3/24"));

    expect(await plugins.order()).toEqual(["first ADD", "second ADD", "third ADD"]);
    const [first, second, third] = await plugins.calls();
    expect(first?.request).toEqual({ cniVersion: "1.0.0", name: "blue", type: "first" });
    expect(second?.request["prevResult"]).toEqual(addressed("10.0.0.1/24"));
    expect(third?.request["prevResult"]).toEqual(addressed("10.0.0.2/24"));
  });

  test("gives a plugin exactly CNI's six variables, the handed-in environment and a run marker", async () => {
    await plugins.add("first");
    await cni.add(attachment({ plugins: [{ type: "first" }] }), untilDone);
    const [call] = await plugins.calls();
    expect(call?.env).toEqual({
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: "sandbox-1",
      CNI_NETNS: "/run/netns/a",
      CNI_IFNAME: "net1",
      CNI_ARGS: "IgnoreUnknown=true;K8S_POD_NAME=web",
      CNI_PATH: plugins.path,
      PATH: expect.any(String),
      PODPLUG_RUN: expect.stringMatching(/^test\/[-0-9a-f]{36}$/),
    });
  });

  test("gives each plugin the capability arguments that it declares, and no others", async () => {
    await addChain();
    const capabilityArgs = { ips: ["10.0.0.9/24"], mac: "02:00:00:00:00:01" };
    const config = {
      plugins: [
        { type: "first", capabilities: { ips: true, mac: false }, keep: { me: [1] } },
        { type: "second", capabilities: { mac: true, bandwidth: true } },
        { type: "third" },
      ],
    };
    await cni.add(attachment(config, { capabilityArgs }), untilDone);
    const [first, second, third] = await plugins.calls();
    expect(first?.request).toEqual({
      cniVersion: "1.0.0",
      name: "blue",
      type: "first",
      keep: { me: [1] },
      runtimeConfig: { ips: ["10.0.0.9/24"] },
    });
    expect(second?.request["runtimeConfig"]).toEqual({ mac: "02:00:00:00:00:01" });
    expect(third?.request).not.toHaveProperty("runtimeConfig");
  });

  test("refuses what no plugin declares before anything runs", async () => {
    await addChain();
    const asked = attachment(chain, { capabilityArgs: { ips: ["10.0.0.9/24"] } });
    await expect(cni.add(asked, untilDone)).rejects.toMatchObject({
      reason: "CAPABILITY_NOT_DECLARED",
      message: expect.stringContaining("ips"),
    });
    expect(await plugins.order()).toEqual([]);
  });

  test("runs nothing when the last plugin isn't installed", async () => {
    await plugins.add("first");
    await plugins.add("second");
    await expect(cni.add(attachment(chain), untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_NOT_FOUND",
      plugin: "third",
      message: expect.stringContaining(plugins.path),
    });
    expect(await plugins.order()).toEqual([]);
  });

  test("stops at the first plugin that fails, and undoes nothing itself", async () => {
    await addChain();
    await plugins.add("second", { ADD: [fails(100, "no more addresses", "pool 10.0.0.0/24")] });
    await expect(cni.add(attachment(chain), untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      plugin: "second",
      cniCode: 100,
      message: "plugin second failed ADD with code 100: no more addresses",
      details: "pool 10.0.0.0/24",
    });
    expect(await plugins.order()).toEqual(["first ADD", "second ADD"]);
  });

  test("answers in the form of the configuration's version, whatever the plugin answered in", async () => {
    await plugins.add("first", {
      ADD: [prints({ cniVersion: "0.2.0", ip4: { ip: "10.0.0.1/24", gateway: "10.0.0.254" } })],
    });
    await plugins.add("second", { ADD: [prints({ cniVersion: "1.1.0", ips: [{ address: "fd00::1/64" }] })] });
    const config = { cniVersion: "0.4.0", plugins: [{ type: "first" }, { type: "second" }] };
    expect(await cni.add(attachment(config), untilDone)).toEqual({
      cniVersion: "0.4.0",
      ips: [{ version: "6", address: "fd00::1/64" }],
    });
    const [, second] = await plugins.calls();
    expect(second?.request["prevResult"]).toEqual({
      cniVersion: "0.4.0",
      ips: [{ version: "4", address: "10.0.0.1/24", gateway: "10.0.0.254" }],
    });
  });

  test.each([
    ["nothing", ""],
    ["no JSON", "interface created"],
    ["a list", "[]"],
    ["null", "null"],
    ["a version nobody knows", '{"cniVersion":"9.0.0"}'],
    ["an address that isn't one", '{"ips":[{"address":"10.0.0.1"}]}'],
  ])("takes %s for bad output", async (_what, output) => {
    await plugins.add("first", { ADD: [prints(output)] });
    await expect(cni.add(attachment({ plugins: [{ type: "first" }] }), untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_BAD_OUTPUT",
      plugin: "first",
    });
  });

  test.each([
    ["container ID", { containerId: "../a" }],
    ["interface name", { ifName: "much-too-long-a-name" }],
    ["namespace path", { netnsPath: undefined }],
    ["CNI argument", { cniArgs: [["A", "b;C=d"]] as const }],
    ["CNI_CONTAINERID", { containerId: "a", netnsPath: "/run/netns/a\0b" }],
  ])("refuses a bad %s", async (_what, overrides) => {
    await plugins.add("first");
    const asked = attachment({ plugins: [{ type: "first" }] }, overrides);
    await expect(cni.add(asked, untilDone)).rejects.toMatchObject({ reason: "INVALID_REQUEST" });
    expect(await plugins.order()).toEqual([]);
  });

  test("logs what a successful plugin says on stderr, for those who debug", async () => {
    const log = recordingLogger();
    await plugins.add("first", { ADD: [complains("a warning"), prints({})] });
    await makeCni([plugins.path], log).add(attachment({ plugins: [{ type: "first" }] }), untilDone);
    expect(log.lines).toContainEqual({
      message: "plugin wrote to stderr",
      facts: expect.objectContaining({ plugin: "first", command: "ADD", stderr: "a warning" }),
    });
  });

  test("starts nothing when its signal aborted before", async () => {
    await plugins.add("first");
    const asked = attachment({ plugins: [{ type: "first" }] });
    await expect(cni.add(asked, AbortSignal.abort())).rejects.toMatchObject({ reason: "CANCELED" });
    expect(await plugins.order()).toEqual([]);
  });
});

describe("DEL", () => {
  test("runs in reverse order and gives every plugin ADD's final result", async () => {
    await addChain();
    await cni.del(attachment(chain), addressed("10.0.0.3/24"), untilDone);
    expect(await plugins.order()).toEqual(["third DEL", "second DEL", "first DEL"]);
    for (const call of await plugins.calls()) {
      expect(call.request["prevResult"]).toEqual(addressed("10.0.0.3/24"));
      expect(call.env).toMatchObject({ CNI_NETNS: "/run/netns/a", CNI_IFNAME: "net1" });
    }
  });

  test("runs without a result after an ADD that never completed", async () => {
    await addChain();
    await cni.del(attachment(chain), undefined, untilDone);
    for (const call of await plugins.calls()) expect(call.request).not.toHaveProperty("prevResult");
  });

  test("passes no result before version 0.4.0", async () => {
    await addChain();
    await cni.del(attachment({ ...chain, cniVersion: "0.3.1" }), addressed("10.0.0.3/24"), untilDone);
    for (const call of await plugins.calls()) expect(call.request).not.toHaveProperty("prevResult");
  });

  test("gives the same capability arguments as ADD", async () => {
    await plugins.add("first");
    const config = { plugins: [{ type: "first", capabilities: { ips: true } }] };
    const capabilityArgs = { ips: ["10.0.0.9/24"] };
    await cni.del(attachment(config, { capabilityArgs }), undefined, untilDone);
    expect((await plugins.calls())[0]?.request["runtimeConfig"]).toEqual(capabilityArgs);
  });

  test("has an empty CNI_NETNS when the namespace is gone", async () => {
    await plugins.add("first");
    await cni.del(
      attachment({ plugins: [{ type: "first" }] }, { netnsPath: undefined }),
      undefined,
      untilDone,
    );
    expect((await plugins.calls())[0]?.env).toMatchObject({ CNI_NETNS: "" });
  });

  test("goes on without a result that can't be read", async () => {
    await addChain();
    await cni.del(attachment(chain), { cniVersion: "7.0.0" }, untilDone);
    expect(await plugins.order()).toHaveLength(3);
    for (const call of await plugins.calls()) expect(call.request).not.toHaveProperty("prevResult");
  });

  test("takes an unknown container for success and goes on", async () => {
    await addChain({ DEL: [fails(3, "unknown container")] });
    await cni.del(attachment(chain), undefined, untilDone);
    expect(await plugins.order()).toEqual(["third DEL", "second DEL", "first DEL"]);
  });

  test("stops at the first error", async () => {
    await addChain();
    await plugins.add("second", { DEL: [fails(5, "disk is full")] });
    await expect(cni.del(attachment(chain), undefined, untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      plugin: "second",
      cniCode: 5,
    });
    expect(await plugins.order()).toEqual(["third DEL", "second DEL"]);
  });

  test("says when to try again", async () => {
    await plugins.add("first", { DEL: [fails(11, "busy")] });
    await expect(
      cni.del(attachment({ plugins: [{ type: "first" }] }), undefined, untilDone),
    ).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      cniCode: 11,
      transient: true,
      retryAfterMs: 5000,
    });
  });
});

describe("CHECK", () => {
  test("asks every plugin in order, with ADD's result", async () => {
    await addChain();
    await cni.check(attachment(chain), addressed("10.0.0.3/24"), untilDone);
    expect(await plugins.order()).toEqual(["first CHECK", "second CHECK", "third CHECK"]);
    for (const call of await plugins.calls()) {
      expect(call.request["prevResult"]).toEqual(addressed("10.0.0.3/24"));
    }
  });

  test.each([
    ["disableCheck", { disableCheck: true }],
    ["a version before 0.4.0", { cniVersion: "0.3.1" }],
  ])("asks nobody with %s", async (_what, config) => {
    await addChain();
    await cni.check(attachment({ ...chain, ...config }), addressed("10.0.0.3/24"), untilDone);
    expect(await plugins.order()).toEqual([]);
  });

  test("fails as a check when a plugin says so", async () => {
    await plugins.add("first", { CHECK: [fails(100, "address is gone")] });
    const asked = attachment({ plugins: [{ type: "first" }] });
    await expect(cni.check(asked, addressed("10.0.0.3/24"), untilDone)).rejects.toMatchObject({
      reason: "CHECK_FAILED",
      plugin: "first",
      cniCode: 100,
    });
  });
});

describe("GC and STATUS", () => {
  const newest = { ...chain, cniVersion: "1.1.0" };
  const network = (config: JsonObject) => attachment(config).network;

  test("GC tells every plugin the valid attachments under both keys", async () => {
    await addChain();
    await cni.gc(network(newest), [{ containerId: "a", ifName: "net1" }], untilDone);
    expect(await plugins.order()).toEqual(["first GC", "second GC", "third GC"]);
    const [call] = await plugins.calls();
    const valid = [{ containerID: "a", ifname: "net1" }];
    expect(call?.request).toEqual({
      cniVersion: "1.1.0",
      name: "blue",
      type: "first",
      "cni.dev/valid-attachments": valid,
      "cni.dev/attachments": valid,
    });
    expect(call?.env).toMatchObject({
      CNI_COMMAND: "GC",
      CNI_PATH: plugins.path,
      CNI_CONTAINERID: "",
      CNI_IFNAME: "",
      CNI_NETNS: "",
      CNI_ARGS: "",
    });
  });

  test("GC goes on past errors and reports them together", async () => {
    await addChain({ GC: [fails(100, "broken")] });
    await plugins.add("second");
    await expect(cni.gc(network(newest), [], untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      message: expect.stringMatching(/plugin first failed GC.*; plugin third failed GC/),
    });
    expect(await plugins.order()).toEqual(["first GC", "second GC", "third GC"]);
  });

  test.each([
    ["disableGC", { ...newest, disableGC: "true" }],
    ["a version before 1.1.0", chain],
  ])("GC runs nothing with %s", async (_what, config) => {
    await addChain();
    await cni.gc(network(config), [], untilDone);
    expect(await plugins.order()).toEqual([]);
  });

  test("STATUS asks every plugin and passes on why one can't", async () => {
    await addChain();
    await cni.status(network(newest), untilDone);
    expect(await plugins.order()).toEqual(["first STATUS", "second STATUS", "third STATUS"]);
    await plugins.add("second", { STATUS: [fails(50, "daemon is away")] });
    await expect(cni.status(network(newest), untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      plugin: "second",
      cniCode: 50,
    });
  });

  test("STATUS asks nobody before 1.1.0", async () => {
    await addChain();
    await cni.status(network(chain), untilDone);
    expect(await plugins.order()).toEqual([]);
  });
});

describe("VERSION", () => {
  test("answers what the plugin lists", async () => {
    await plugins.add("first", {
      VERSION: [prints({ cniVersion: "1.0.0", supportedVersions: ["0.4.0", "1.0.0"] })],
    });
    expect(await cni.pluginVersions("first", untilDone)).toEqual(["0.4.0", "1.0.0"]);
    expect((await plugins.calls())[0]?.request).toEqual({ cniVersion: "1.1.0" });
  });

  test("knows what a plugin of 0.2.0 without a list speaks", async () => {
    await plugins.add("first", { VERSION: [prints({ cniVersion: "0.2.0" })] });
    expect(await cni.pluginVersions("first", untilDone)).toEqual(["0.1.0", "0.2.0"]);
  });

  test.each(["", "{}", "[]", "what?"])("takes %j for bad output", async (output) => {
    await plugins.add("first", { VERSION: [prints(output)] });
    await expect(cni.pluginVersions("first", untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_BAD_OUTPUT",
    });
  });
});
