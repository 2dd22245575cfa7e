import { execFile } from "node:child_process";
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";

const execute = promisify(execFile);
const plugin = join(import.meta.dirname, "../../plugins/podplug-uplink");

interface Answer {
  readonly code: number;
  readonly result: JsonObject;
}

interface Run {
  readonly uplink: string;
  readonly container?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The whole configuration in place of the usual one. */
  readonly config?: string;
}

/** Runs it in a namespace that stands for a host. */
async function run(host: TestNetns, command: string, options: Run): Promise<Answer> {
  const { uplink, container = "c1" } = options;
  const config = JSON.stringify({ cniVersion: "1.0.0", name: "net", type: "podplug-uplink", uplink });
  const child = execute("nsenter", [`--net=${host.path}`, plugin], {
    env: {
      ...process.env,
      ...options.env,
      CNI_COMMAND: command,
      CNI_CONTAINERID: container,
      CNI_IFNAME: "net1",
    },
  });
  child.child.stdin?.end(options.config ?? config);
  const { stdout, code } = await child.then(
    (out) => ({ ...out, code: 0 }),
    (error: { readonly stdout: string; readonly code: number }) => error,
  );
  const result: unknown = JSON.parse(stdout || "{}");
  if (!isJsonObject(result)) throw new Error(`it printed ${stdout}`);
  return { code, result };
}

async function links(host: TestNetns): Promise<readonly string[]> {
  const all = await host.ipJson<IpLink[]>("link");
  return all.map(({ ifname }) => ifname).filter((name) => name !== "lo");
}

async function remotes(host: TestNetns, device: string): Promise<readonly string[]> {
  const lines = (await host.run("bridge", "fdb", "show", "dev", device)).split("\n");
  return lines.flatMap((line) => /^00:00:00:00:00:00 dst (\S+)/.exec(line)?.[1] ?? []).toSorted();
}

/** The folder of those who count for a bridge, by its namespace's number. */
async function usersOf(host: TestNetns, bridge: string): Promise<string> {
  const number = (await host.run("readlink", "/proc/self/ns/net")).replaceAll(/\D/g, "");
  return `/run/podplug/uplinks/${number}-${bridge}`;
}

test("a bridge with its VXLAN is there from the first ADD to the last DEL", async () => {
  await using host = await makeNetns("host");
  const uplink = "vxlan 10001 192.168.2.10 192.168.2.11";
  expect(await run(host, "ADD", { uplink })).toEqual({ code: 0, result: { cniVersion: "1.0.0" } });
  await run(host, "ADD", { uplink, container: "c2" });
  expect(await links(host)).toEqual(["ppvx10001", "ppvx10001-up"]);
  expect((await run(host, "CHECK", { uplink })).code).toBe(0);
  await run(host, "DEL", { uplink });
  expect(await links(host)).toEqual(["ppvx10001", "ppvx10001-up"]);
  await run(host, "DEL", { uplink, container: "c2" });
  expect(await links(host)).toEqual([]);
  expect((await run(host, "CHECK", { uplink })).result).toMatchObject({ code: 101 });
  expect(await run(host, "DEL", { uplink, container: "c2" })).toMatchObject({ code: 0 });
});

test("an ADD brings the other hosts, and this host's own address, to what they are now", async () => {
  await using host = await makeNetns("host");
  await run(host, "ADD", { uplink: "vxlan 5 192.168.2.10 192.168.2.11,192.168.2.12" });
  expect(await remotes(host, "ppvx5-up")).toEqual(["192.168.2.11", "192.168.2.12"]);
  await run(host, "ADD", { uplink: "vxlan 5 192.168.2.10 192.168.2.12,192.168.2.13", container: "c2" });
  expect(await remotes(host, "ppvx5-up")).toEqual(["192.168.2.12", "192.168.2.13"]);
  const moved = await run(host, "ADD", { uplink: "vxlan 5 192.168.2.99 192.168.2.12", container: "c3" });
  expect(moved.code).toBe(0);
  expect(await host.run("ip", "-d", "link", "show", "ppvx5-up")).toContain("vxlan id 5 local 192.168.2.99 ");
  expect(await remotes(host, "ppvx5-up")).toEqual(["192.168.2.12"]);
});

test("a PATH that has CNI's own bridge first leads nowhere else", async () => {
  await using host = await makeNetns("host");
  const env = { PATH: `/usr/lib/cni:${process.env["PATH"]}` };
  const uplink = "vxlan 8 192.168.2.10 192.168.2.11";
  expect(await run(host, "ADD", { uplink, env })).toMatchObject({ code: 0 });
  expect(await remotes(host, "ppvx8-up")).toEqual(["192.168.2.11"]);
});

test("attachments that come and go side by side leave a whole bridge, or none", async () => {
  await using host = await makeNetns("host");
  const uplink = "vxlan 6 192.168.2.10";
  const round = async (container: string): Promise<void> => {
    await run(host, "ADD", { uplink, container });
    // Its bridge is there for as long as it is.
    expect((await run(host, "CHECK", { uplink, container })).code).toBe(0);
    await run(host, "DEL", { uplink, container });
  };
  await Promise.all(Array.from({ length: 12 }, (_, index) => round(`c${index}`)));
  expect(await links(host)).toEqual([]);
});

test("users that nobody counts any more keep their bridge for as long as they have a port on it", async () => {
  await using host = await makeNetns("host");
  const uplink = "vxlan 9 192.168.2.10";
  const bridge = ["ppvx9", "ppvx9-up"];
  const plug = async (container: string): Promise<void> => {
    expect(await run(host, "ADD", { uplink, container })).toMatchObject({ code: 0 });
    await host.ip("link", "add", container, "type", "veth");
    await host.ip("link", "set", container, "master", "ppvx9");
  };
  const unplug = async (container: string): Promise<void> => {
    await host.ip("link", "delete", container);
    expect(await run(host, "DEL", { uplink, container })).toMatchObject({ code: 0 });
  };
  await plug("c1");
  await plug("c2");
  await rm(await usersOf(host, "ppvx9"), { recursive: true });
  await unplug("c1");
  expect(await links(host)).toEqual(expect.arrayContaining(bridge));
  await plug("c3");
  await unplug("c3");
  expect(await links(host)).toEqual(expect.arrayContaining(bridge));
  await unplug("c2");
  expect(await links(host)).toEqual([]);
});

test("users of a bridge that is gone count no more, as of a namespace whose number came round again", async () => {
  await using host = await makeNetns("host");
  const uplink = "vxlan 11 192.168.2.10";
  const users = await usersOf(host, "ppvx11");
  await mkdir(users, { recursive: true });
  await writeFile(`${users}/c0.net1`, "");
  await run(host, "ADD", { uplink });
  expect(await readdir(users)).toEqual(["c1.net1"]);
  await host.ip("link", "delete", "ppvx11");
  await run(host, "ADD", { uplink, container: "c2" });
  await run(host, "DEL", { uplink, container: "c2" });
  expect(await links(host)).toEqual([]);
  await expect(readdir(users)).rejects.toThrow("ENOENT");
});

test("the node gets no address in the network, from nobody", async () => {
  await using host = await makeNetns("host");
  await host.run("sh", "-c", "echo 0 >/proc/sys/net/ipv6/conf/default/addr_gen_mode");
  await run(host, "ADD", { uplink: "vxlan 7 192.168.2.10" });
  const all = await host.ipJson<IpLink[]>("addr");
  expect(all.flatMap(({ addr_info: addresses }) => addresses)).toEqual([]);
});

test("a VLAN is made where the kernel can, else refused with a reason", async () => {
  await using host = await makeNetns("host");
  await host.ip("link", "add", "eth1", "type", "bridge");
  const has8021q = await host
    .ip("link", "add", "link", "eth1", "name", "probe", "type", "vlan", "id", "1")
    .then(
      () => true,
      () => false,
    );
  const { code, result } = await run(host, "ADD", { uplink: "vlan 100 eth1" });
  const madeOrTold = has8021q
    ? { code: 0, result: { cniVersion: "1.0.0" } }
    : { code: 1, result: { code: 100, msg: expect.stringContaining("VLAN 100 on eth1") as unknown } };
  expect({ code, result }).toMatchObject(madeOrTold);
  expect((await links(host)).includes("ppvl100-up")).toBe(has8021q);
  await run(host, "DEL", { uplink: "vlan 100 eth1" });
  expect((await links(host)).filter((name) => name.startsWith("pp"))).toEqual([]);
});

test.each([
  "",
  "vxlan",
  "vxlan 0 192.168.2.10",
  "vxlan 16777216 192.168.2.10",
  "vxlan 010 192.168.2.10",
  "vxlan 5 192.168.2",
  "vxlan 5 192.168.2.256",
  "vxlan 5 192.168.2.10 192.168.2.11,x",
  "vxlan 5 192.168.2.10 192.168.2.11 more",
  "vxlan 5 $(reboot)",
  "vxlan * *",
  "vlan 4095 eth1",
  "vlan 5 -eth1",
  "vlan 5 eth1;reboot",
  "geneve 5 192.168.2.10",
])(
  "an uplink that is none is refused before anything is made, and its DEL has nothing to do: %j",
  async (uplink) => {
    await using host = await makeNetns("host");
    expect(await run(host, "ADD", { uplink })).toMatchObject({ code: 1, result: { code: 7 } });
    expect(await links(host)).toEqual([]);
    expect(await run(host, "DEL", { uplink })).toEqual({ code: 0, result: {} });
  },
);

test.each([
  ["none", "{}"],
  ["two", '{"uplink": "vxlan 5 192.168.2.10", "uplink": "vxlan 6 192.168.2.10"}'],
  ["no text", '{"uplink": {"uplink": "vxlan 5 192.168.2.10"}}'],
  ["one further in alone", '{"args": {"uplink": "vxlan 5 192.168.2.10"}}'],
])("so is a configuration with %s", async (_what, config) => {
  await using host = await makeNetns("host");
  expect(await run(host, "ADD", { uplink: "", config })).toMatchObject({ code: 1, result: { code: 7 } });
  expect(await links(host)).toEqual([]);
  expect(await run(host, "DEL", { uplink: "", config })).toEqual({ code: 0, result: {} });
});

test.each([
  ["after it", { uplink: "vxlan 5 192.168.2.10", args: { cni: { uplink: "vxlan 6 192.168.2.10" } } }],
  ["before it", { args: [{ uplink: "vxlan 6 192.168.2.10" }], uplink: "vxlan 5 192.168.2.10" }],
  [
    "in a text",
    { args: { cni: { a: '}}, "uplink": "vxlan 6 192.168.2.10", \\' } }, uplink: "vxlan 5 192.168.2.10" },
  ],
])("a pod's argument of the same name is none of its, %s", async (_where, keys) => {
  await using host = await makeNetns("host");
  const config = JSON.stringify(keys, null, 2);
  expect(await run(host, "ADD", { uplink: "", config })).toMatchObject({ code: 0 });
  expect(await links(host)).toEqual(["ppvx5", "ppvx5-up"]);
  expect(await run(host, "DEL", { uplink: "", config })).toMatchObject({ code: 0 });
  expect(await links(host)).toEqual([]);
});

test("an ID that leads elsewhere is refused", async () => {
  await using host = await makeNetns("host");
  const wrong = { uplink: "vxlan 5 192.168.2.10", container: "../../x" };
  expect(await run(host, "ADD", wrong)).toMatchObject({ code: 1, result: { code: 4 } });
  expect(await links(host)).toEqual([]);
});
