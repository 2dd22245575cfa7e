import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { NetworkAttachment } from "../../src/cni/cni.ts";
import { findPlugin } from "../../src/cni/find-plugin.ts";
import { readNetworkList } from "../../src/cni/network-list.ts";
import { toNewestResult } from "../../src/cni/results.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeCni, pluginEnv, untilDone } from "./runtime.ts";

const execute = promisify(execFile);

/** Where distributions install the reference plugins. */
const binDirs = ["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"];
const cni = makeCni(binDirs);

/** The node is the namespace that the tests run in; what they make there is named after this. */
let unique: string;
let pod: TestNetns;
let dataDir: string;

beforeAll(async () => {
  for (const type of ["bridge", "host-local", "static", "tuning", "portmap", "bandwidth", "ptp", "macvlan"]) {
    // Says which one to install: the package is containernetworking-plugins.
    findPlugin(type, binDirs);
  }
});

beforeEach(async () => {
  unique = randomBytes(4).toString("hex");
  pod = await makeNetns("pod");
  dataDir = await mkdtemp(join(tmpdir(), "podplug-leases-"));
});
afterEach(async () => {
  await pod[Symbol.asyncDispose]();
  await rm(dataDir, { recursive: true });
});

function attachment(config: JsonObject, capabilityArgs: JsonObject = {}): NetworkAttachment {
  const text = JSON.stringify({ cniVersion: "1.0.0", name: `net-${unique}`, ...config });
  return {
    network: readNetworkList(text, { source: "test" }),
    containerId: `sandbox-${unique}`,
    ifName: "net1",
    netnsPath: pod.path,
    cniArgs: [["IgnoreUnknown", "true"]],
    capabilityArgs,
  };
}

const hostLocal = (subnet: string): JsonObject => ({ type: "host-local", dataDir, ranges: [[{ subnet }]] });
const bridge = (rest: JsonObject): JsonObject => ({ type: "bridge", bridge: `b-${unique}`, ...rest });

async function link(name = "net1"): Promise<IpLink | undefined> {
  const links = await pod.ipJson<IpLink[]>("addr");
  return links.find((candidate) => candidate.ifname === name);
}
const addresses = async (): Promise<string[]> =>
  ((await link())?.addr_info ?? [])
    .filter(({ local }) => !local.startsWith("fe80:"))
    .map(({ local, prefixlen }) => `${local}/${prefixlen}`);

/** The addresses that host-local has given out. */
async function leases(): Promise<string[]> {
  const names = await readdir(join(dataDir, `net-${unique}`)).catch(() => []);
  return names.filter((name) => /^[\da-f.:]+$/.test(name));
}
const onNode = async (program: string, ...args: string[]): Promise<string> =>
  (await execute(program, args, { env: pluginEnv })).stdout;

describe("bridge with host-local", () => {
  test("makes an interface with a leased address, and leaves neither", async () => {
    const asked = attachment({ plugins: [bridge({ ipam: hostLocal("10.90.1.0/24") })] });
    const result = await cni.add(asked, untilDone);

    const [address] = toNewestResult(result).ips ?? [];
    expect(await addresses()).toEqual([address?.address]);
    const lease = String(address?.address.split("/")[0]);
    expect(await leases()).toEqual([lease]);
    expect(await readFile(join(dataDir, `net-${unique}`, lease), "utf8")).toMatch(asked.containerId);
    expect(toNewestResult(result).interfaces).toContainEqual({
      name: "net1",
      mac: (await link())?.address,
      sandbox: pod.path,
    });
    await cni.check(asked, result, untilDone);

    await cni.del(asked, result, untilDone);
    expect(await link()).toBeUndefined();
    expect(await leases()).toEqual([]);
    await cni.del(asked, result, untilDone);
  });

  test("frees the address when the namespace is gone", async () => {
    const asked = attachment({ plugins: [bridge({ ipam: hostLocal("10.90.2.0/24") })] });
    const result = await cni.add(asked, untilDone);
    await pod[Symbol.asyncDispose]();
    await cni.del({ ...asked, netnsPath: undefined }, result, untilDone);
    expect(await leases()).toEqual([]);
  });

  test("CHECK fails once the address is gone", async () => {
    const asked = attachment({ plugins: [bridge({ ipam: hostLocal("10.90.3.0/24") })] });
    const result = await cni.add(asked, untilDone);
    await pod.ip("addr", "flush", "dev", "net1");
    await expect(cni.check(asked, result, untilDone)).rejects.toMatchObject({
      reason: "CHECK_FAILED",
      plugin: "bridge",
    });
    await cni.del(asked, result, untilDone);
  });

  test("says that the addresses are used up, and DEL leaves nothing of the attempt", async () => {
    const ipam = {
      type: "host-local",
      dataDir,
      ranges: [[{ subnet: "10.90.4.0/24", rangeStart: "10.90.4.9", rangeEnd: "10.90.4.9" }]],
    };
    const first = attachment({ plugins: [bridge({ ipam })] });
    await cni.add(first, untilDone);
    const second = { ...first, ifName: "net2" };
    await expect(cni.add(second, untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_FAILED",
      plugin: "bridge",
      cniCode: expect.any(Number),
      message: expect.stringContaining("no IP addresses available"),
    });
    await cni.del(second, undefined, untilDone);
    expect(await link("net2")).toBeUndefined();
    expect(await leases()).toEqual(["10.90.4.9"]);
    expect(await link()).toBeDefined();
    await cni.del(first, undefined, untilDone);
    expect(await leases()).toEqual([]);
  });

  test.each(["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"])("speaks CNI %s", async (cniVersion) => {
    const config = bridge({ cniVersion, name: `net-${unique}`, ipam: hostLocal("10.90.5.0/24") });
    const asked = attachment(cniVersion < "0.3.0" ? config : { cniVersion, plugins: [config] });
    const result = await cni.add(asked, untilDone);
    expect(result["cniVersion"]).toBe(cniVersion);
    expect(toNewestResult(result).ips?.map(({ address }) => address)).toEqual(await addresses());
    await cni.check(asked, result, untilDone);
    await cni.del(asked, result, untilDone);
    expect(await link()).toBeUndefined();
    expect(await leases()).toEqual([]);
  });
});

describe("what is asked for", () => {
  test("static gives the addresses, bridge the hardware address", async () => {
    const asked = attachment(
      { plugins: [bridge({ capabilities: { ips: true, mac: true }, ipam: { type: "static" } })] },
      { ips: ["10.90.6.7/24", "fd00:6::7/64"], mac: "02:00:00:00:06:07" },
    );
    const result = await cni.add(asked, untilDone);
    expect(await addresses()).toEqual(["10.90.6.7/24", "fd00:6::7/64"]);
    expect((await link())?.address).toBe("02:00:00:00:06:07");
    await cni.check(asked, result, untilDone);
    await cni.del(asked, result, untilDone);
    expect(await link()).toBeUndefined();
  });

  test("static gives the addresses of args.cni", async () => {
    const asked = attachment({
      plugins: [bridge({ args: { cni: { ips: ["10.90.7.7/24"] } }, ipam: { type: "static" } })],
    });
    await cni.add(asked, untilDone);
    expect(await addresses()).toEqual(["10.90.7.7/24"]);
    await cni.del(asked, undefined, untilDone);
  });

  test("tuning, portmap and bandwidth work on what bridge made", async () => {
    const asked = attachment(
      {
        plugins: [
          bridge({ isGateway: true, ipam: hostLocal("10.90.8.0/24") }),
          { type: "tuning", capabilities: { mac: true }, mtu: 1350 },
          { type: "portmap", capabilities: { portMappings: true }, snat: true },
          { type: "bandwidth", capabilities: { bandwidth: true } },
        ],
      },
      {
        mac: "02:00:00:00:08:08",
        portMappings: [{ hostPort: 8088, containerPort: 80, protocol: "tcp" }],
        bandwidth: {
          ingressRate: 8_000_000,
          ingressBurst: 8_000_000,
          egressRate: 4_000_000,
          egressBurst: 4_000_000,
        },
      },
    );
    const result = await cni.add(asked, untilDone);
    expect(await link()).toMatchObject({ mtu: 1350, address: "02:00:00:00:08:08" });
    expect(await onNode("iptables", "-t", "nat", "-S")).toContain("--dport 8088");
    expect(await onNode("tc", "qdisc", "show")).toContain("rate 8Mbit");
    // No CHECK: portmap 1.1.1 looks for IPv6 rules also where there is no IPv6 address.

    await cni.del(asked, result, untilDone);
    expect(await link()).toBeUndefined();
    expect(await leases()).toEqual([]);
    expect(await onNode("iptables", "-t", "nat", "-S")).not.toContain("--dport 8088");
    expect(await onNode("tc", "qdisc", "show")).not.toContain("rate 4Mbit");
  });
});

test("ptp makes a pair of its own", async () => {
  const asked = attachment({ plugins: [{ type: "ptp", ipam: hostLocal("10.90.9.0/24") }] });
  const result = await cni.add(asked, untilDone);
  expect(await addresses()).toEqual(toNewestResult(result).ips?.map(({ address }) => address));
  await cni.check(asked, result, untilDone);
  await cni.del(asked, result, untilDone);
  expect(await link()).toBeUndefined();
  expect(await leases()).toEqual([]);
});

test("macvlan shares an interface of the node", async () => {
  const master = `m-${unique}`;
  await onNode("ip", "link", "add", master, "up", "type", "veth", "peer", "name", `p-${unique}`);
  try {
    const asked = attachment({
      plugins: [{ type: "macvlan", master, mode: "bridge", ipam: hostLocal("10.90.10.0/24") }],
    });
    const result = await cni.add(asked, untilDone);
    expect(await addresses()).toEqual(toNewestResult(result).ips?.map(({ address }) => address));
    await cni.check(asked, result, untilDone);
    await cni.del(asked, result, untilDone);
    expect(await link()).toBeUndefined();
    expect(await leases()).toEqual([]);
  } finally {
    await onNode("ip", "link", "delete", master);
  }
});

test("every reference plugin lists the versions that it speaks", async () => {
  expect(await cni.pluginVersions("bridge", untilDone)).toContain("1.0.0");
  expect(await cni.pluginVersions("host-local", untilDone)).toContain("0.3.1");
});
