import { execFile } from "node:child_process";
import { readdir, readFile, readlink, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import {
  hangs,
  leavesChild,
  leavesDaemon,
  makePluginDirectory,
} from "../fixtures/plugins/plugin-directory.ts";
import { failure } from "../support/failure.ts";
import { type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { readableLog, runAgentProgram, toldOf } from "./agent-program.ts";
import { startContained } from "./contained-agent.ts";

const execute = promisify(execFile);

test("plugins, their delegates, leases and namespaces are the host's, and nothing is left in the container", async () => {
  await using node = await makeNode({ config: { hostRoot: "/proc/1/root", ...readableLog } });
  const leases = `/run/leases-${process.pid}`;
  const subnet = { type: "host-local", dataDir: leases, ranges: [[{ subnet: node.subnet }]] };
  await node.defineNetwork("data", [node.bridgePlugin({ ipam: subnet })]);
  await using netns = await makeNetns("contained");
  await using agent = await startContained(node, { hidden: ["/usr/lib/cni"] });
  expect(await readdir(`/proc/${agent.program.pid}/root/usr/lib/cni`)).toEqual([]);

  // By the way that Docker names it, which leads over an absolute link.
  const target = { kind: "netns", netns: `/var${netns.path}` } as const;
  const network = { name: "data", interface: "net1" };
  const { interface: attached } = await agent.client.attach({ target, network }, neverAborted);
  const [, link] = await netns.ipJson<IpLink[]>("addr");
  expect(link).toMatchObject({ ifname: "net1", address: attached.mac, ifindex: attached.index });
  expect(await readdir(join(leases, "data"))).toContain(attached.ips[0]?.split("/")[0]);
  const own = await readdir(`/proc/${agent.program.pid}/root/run`);
  expect(own.filter((name) => ["netns", basename(leases)].includes(name))).toEqual([]);
  expect(
    await agent.client.list({ target: { kind: "netns", netns: netns.name } }, neverAborted),
  ).toMatchObject([{ name: "net1" }]);

  const which = { by: "interface", interface: "net1" } as const;
  expect(await agent.client.detach({ target, which }, neverAborted)).toMatchObject({ detached: true });
  expect(await netns.ipJson<IpLink[]>("addr")).toHaveLength(1);
  await rm(leases, { recursive: true });
});

test("a plugin runs in the host's mount namespace, and what it mounts is mounted there", async () => {
  await using plugins = await makePluginDirectory();
  await plugins.add("mounting", {
    ADD: [
      `readlink /proc/self/ns/mnt > ${plugins.path}/seen`,
      "mkdir -p /run/mounted",
      "mount -t tmpfs host-root-test /run/mounted",
      'printf \'{"cniVersion":"1.0.0"}\'',
    ],
    DEL: ["umount /run/mounted"],
  });
  await using node = await makeNode({
    binDirs: [plugins.path],
    config: { hostRoot: "/proc/1/root", ...readableLog },
  });
  await node.defineNetwork("mounting", [node.bridgePlugin(), { type: "mounting" }]);
  await using netns = await makeNetns("contained");
  await using agent = await startContained(node);
  const own = await readlink(`/proc/${agent.program.pid}/ns/mnt`);
  const target = { kind: "netns", netns: netns.path } as const;
  await agent.client.attach({ target, network: { name: "mounting", interface: "net1" } }, neverAborted);
  const host = await readlink("/proc/1/ns/mnt");
  expect((await readFile(`${plugins.path}/seen`, "utf8")).trim()).toBe(host);
  expect(own).not.toBe(host);
  expect(await readlink(`/proc/${agent.program.pid}/ns/mnt`)).toBe(own);
  expect((await execute("findmnt", ["/run/mounted"])).stdout).toContain("host-root-test");
  expect(await readFile(`/proc/${agent.program.pid}/mounts`, "utf8")).not.toContain("host-root-test");
  const which = { by: "interface", interface: "net1" } as const;
  await agent.client.detach({ target, which }, neverAborted);
  expect(await readFile("/proc/mounts", "utf8")).not.toContain("host-root-test");
});

test("podplug's own plugins run where the agent is, with its tools", async () => {
  await using node = await makeNode({ config: { hostRoot: "/proc/1/root", ...readableLog } });
  const uplink = { type: "podplug-uplink", uplink: "vxlan 4711 127.0.0.1" };
  await node.defineNetwork("tenant", [uplink, node.bridgePlugin({ bridge: "ppvx4711", isGateway: false })]);
  await using netns = await makeNetns("contained");
  await using agent = await startContained(node);
  const target = { kind: "netns", netns: netns.path } as const;
  await agent.client.attach({ target, network: { name: "tenant", interface: "net1" } }, neverAborted);
  // What it keeps is in the container's /run, which the host's has to be mounted over.
  expect(await readdir(`/proc/${agent.program.pid}/root/run/podplug/uplinks`)).toContain("lock");
  await agent.client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  await expect(execute("ip", ["link", "show", "ppvx4711"])).rejects.toThrow();
});

test("a plugin of the host that hangs is ended with all it started", async () => {
  await using plugins = await makePluginDirectory();
  await plugins.add("hanging", { ADD: [leavesChild(), leavesDaemon(), hangs()] });
  await using node = await makeNode({
    binDirs: [plugins.path],
    config: { hostRoot: "/proc/1/root", cni: { timeoutSeconds: 10 }, ...readableLog },
  });
  await node.defineNetwork("hanging", [node.bridgePlugin(), { type: "hanging" }]);
  await using netns = await makeNetns("contained");
  await using agent = await startContained(node, { hidden: ["/usr/lib/cni"] });
  const target = { kind: "netns", netns: netns.path } as const;
  await expect(
    agent.client.attach({ target, network: { name: "hanging", interface: "net1" } }, neverAborted),
  ).rejects.toEqual(failure("PLUGIN_TIMEOUT", "hanging"));
  expect(await findMarkedProcesses(await node.markerPrefix())).toEqual([]);
  expect(await node.leases()).toEqual([]);
});

test("a plugin that the host doesn't have is missed by the host's path, though the container has one there", async () => {
  await using plugins = await makePluginDirectory();
  await using node = await makeNode({
    binDirs: [plugins.path],
    config: { hostRoot: "/proc/1/root", ...readableLog },
  });
  await node.defineNetwork("absent", [{ type: "absent" }]);
  await using netns = await makeNetns("contained");
  await using agent = await startContained(node);
  const target = { kind: "netns", netns: netns.path } as const;
  await expect(
    agent.client.attach({ target, network: { name: "absent", interface: "net1" } }, neverAborted),
  ).rejects.toEqual(failure("PLUGIN_NOT_FOUND", plugins.path));
});

test.each([
  [
    "isn't the host's root",
    [],
    "/nonexistent",
    "INVALID_CONFIGURATION",
    /^hostRoot \/nonexistent isn't the host's root/,
  ],
  [
    "has another network than the agent",
    ["unshare", "--net"],
    "/proc/1/root",
    "INVALID_CONFIGURATION",
    /hostNetwork: true/,
  ],
  [
    "can't be entered without CAP_SYS_CHROOT",
    ["setpriv", "--bounding-set", "-sys_chroot"],
    "/proc/1/root",
    "PRIVILEGE_MISSING",
    /lacks CAP_SYS_ADMIN or CAP_SYS_CHROOT$/,
  ],
] as const)(
  "an agent whose hostRoot %s doesn't start, and says why",
  async (_what, before, hostRoot, reason, message) => {
    await using node = await makeNode({ config: { hostRoot, ...readableLog } });
    const end = await runAgentProgram(node.configFile, before);
    expect(end.code).toBe(reason === "INVALID_CONFIGURATION" ? 2 : 1);
    const [, said = ""] = /^podplug agent: (.*)$/m.exec(end.stderr) ?? [];
    expect(said).toMatch(message);
    expect(end.stderr).toContain(toldOf(reason, said));
  },
);
