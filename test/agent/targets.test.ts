import { execFile } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { holdUnnamedNetns, type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type AgentHere, startAgentHere } from "./agent-here.ts";

const execute = promisify(execFile);

let node: TestNode;
let here: AgentHere;

beforeAll(async () => {
  node = await makeNode();
  here = await startAgentHere(node);
});

afterAll(async () => {
  await here[Symbol.asyncDispose]();
  await node[Symbol.asyncDispose]();
});

/** It looks after what is gone by itself, at intervals: a new one leaves a test minutes for what it does to that. */
async function startAnew(): Promise<void> {
  await here[Symbol.asyncDispose]();
  here = await startAgentHere(node);
}

const at = (netns: string) => ({ kind: "netns", netns }) as const;
const attach = (netns: string, name: string) =>
  here.client.attach({ target: at(netns), network: { name: "blue", interface: name } }, neverAborted);
const detach = (netns: string, name: string) =>
  here.client.detach({ target: at(netns), which: { by: "interface", interface: name } }, neverAborted);

/** A namespace by another path: bound to a file in a directory of this test's own. */
async function bound(source: string, name: string): Promise<AsyncDisposable & { readonly path: string }> {
  const directory = join(node.root, "elsewhere");
  await mkdir(directory, { recursive: true });
  const path = join(directory, name);
  await writeFile(path, "");
  await execute("mount", ["--bind", source, path]);
  return { path, [Symbol.asyncDispose]: async () => void (await execute("umount", ["--lazy", path])) };
}

test("a namespace is the same target by its name, its path, a link, another mount and a process in it", async () => {
  await using netns = await makeNetns("target");
  await using process = await netns.hold();
  await using elsewhere = await bound(netns.path, "same");
  const link = join(node.root, "link");
  await symlink(netns.path, link);
  const paths = [netns.path, netns.name, link, elsewhere.path, `/proc/${process.pid}/ns/net`];
  const { interface: attached } = await attach(netns.path, "net1");
  for (const path of paths) {
    expect(await attach(path, "net1")).toMatchObject({
      created: false,
      interface: { attachmentId: attached.attachmentId },
    });
    const [view] = await here.client.list({ target: at(path) }, neverAborted);
    expect(view).toMatchObject({ name: "net1", sandboxId: attached.sandboxId, index: attached.index });
    await here.client.check({ target: at(path), interface: "net1" }, neverAborted);
  }
  expect(await detach(elsewhere.path, "net1")).toMatchObject({ detached: true });
  expect((await netns.ipJson<IpLink[]>("addr")).map((each) => each.ifname)).toEqual(["lo"]);
});

test("a process without a named namespace is plugged and unplugged", async () => {
  await using process = await holdUnnamedNetns();
  const path = `/proc/${process.pid}/ns/net`;
  const { interface: attached } = await attach(path, "net1");
  const { stdout } = await execute("nsenter", [`--net=${path}`, "ip", "-j", "addr", "show", "net1"]);
  const [link] = JSON.parse(stdout) as IpLink[];
  expect(link).toMatchObject({ ifname: "net1", address: attached.mac, ifindex: attached.index });
  expect(await detach(path, "net1")).toMatchObject({ detached: true });
});

test("what was plugged into a process is detached by another path when the process has ended", async () => {
  await startAnew();
  const process = await holdUnnamedNetns();
  const path = `/proc/${process.pid}/ns/net`;
  await using elsewhere = await bound(path, "outlives");
  const { interface: attached } = await attach(path, "net1");
  await process[Symbol.asyncDispose]();
  const [view] = await here.client.list({ target: at(elsewhere.path) }, neverAborted);
  expect(view).toMatchObject({ name: "net1", attachmentId: attached.attachmentId, state: "attached" });
  expect(await attach(elsewhere.path, "net1")).toEqual({ created: false, interface: view });
  expect(await detach(elsewhere.path, "net1")).toMatchObject({ detached: true });
  const { stdout } = await execute("nsenter", [`--net=${elsewhere.path}`, "ip", "-j", "link"]);
  expect((JSON.parse(stdout) as IpLink[]).map((link) => link.ifname)).toEqual(["lo"]);
  expect(await node.leases()).toEqual([]);
});

test("what was plugged into a namespace that is gone is detached soon, without anybody asking", async () => {
  const netns = await makeNetns("target");
  await attach(netns.path, "net1");
  await netns[Symbol.asyncDispose]();
  await eventually(async () => (await node.leases()).length === 0, "its address is given back");
  await eventually(async () => (await node.journalFiles()).length === 0, "its record goes");
});

test("another namespace under the path of one that is gone is another target", async () => {
  const netns = await makeNetns("target");
  await attach(netns.path, "net1");
  await netns[Symbol.asyncDispose]();
  await execute("ip", ["netns", "add", netns.name]);
  try {
    expect(await here.client.list({ target: at(netns.path) }, neverAborted)).toEqual([]);
    const { created, interface: attached } = await attach(netns.path, "net1");
    expect(created).toBe(true);
    await eventually(async () => (await node.leases()).length === 1, "the one before gives its address back");
    expect(await detach(netns.path, "net1")).toMatchObject({
      interface: { attachmentId: attached.attachmentId },
    });
  } finally {
    await execute("ip", ["netns", "delete", netns.name]);
  }
});

test.each(["/proc/self/ns/net", "/proc/thread-self/ns/net", "/proc/1/ns/net"])(
  "the host's own namespace is refused by %s",
  async (path) => {
    const refusal = failure("TARGET_INVALID", "is the host's own network namespace");
    await expect(attach(path, "net1")).rejects.toEqual(refusal);
    await expect(here.client.list({ target: at(path) }, neverAborted)).rejects.toEqual(refusal);
    await expect(detach(path, "net1")).rejects.toEqual(refusal);
  },
);

test("the host's own namespace is refused by a name and by another mount", async () => {
  await using elsewhere = await bound("/proc/self/ns/net", "host");
  const refusal = failure("TARGET_INVALID", "is the host's own network namespace");
  await expect(attach(elsewhere.path, "net1")).rejects.toEqual(refusal);
  const link = join(node.root, "host");
  await symlink("/proc/1/ns/net", link);
  await expect(attach(link, "net1")).rejects.toEqual(refusal);
});

test.each([
  ["a mount namespace", "/proc/self/ns/mnt"],
  ["a user namespace", "/proc/self/ns/user"],
  ["a regular file", "/etc/passwd"],
  ["a device", "/dev/zero"],
  ["a directory", "/run"],
])("%s is refused", async (_what, path) => {
  const refusal = failure("TARGET_INVALID", `not a network namespace: ${path}`);
  await expect(attach(path, "net1")).rejects.toEqual(refusal);
  await expect(here.client.check({ target: at(path), interface: "net1" }, neverAborted)).rejects.toEqual(
    refusal,
  );
});

test("a FIFO and a socket are refused without waiting for who has their other end", async () => {
  const fifo = join(node.root, "fifo");
  await execute("mkfifo", [fifo]);
  for (const path of [fifo, node.socket]) {
    await expect(attach(path, "net1")).rejects.toEqual(failure("TARGET_INVALID", "not a network namespace"));
  }
  expect(await here.client.info(neverAborted)).toMatchObject({ runtime: "netns" });
});
