import { execFile } from "node:child_process";
import { access, constants, mkdtemp, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual, promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNetlinkInterfaceReader, type NetlinkInterfaceReader } from "../../src/interfaces/netlink.ts";
import { interfaceReaderContract } from "../contracts/interface-reader.ts";
import { failure } from "../support/failure.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { addVethPair, holdUnnamedNetns, type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";

const execute = promisify(execFile);
const mayMakeTuns = await access("/dev/net/tun", constants.R_OK | constants.W_OK).then(
  () => true,
  () => false,
);
const { signal } = new AbortController();

/** Lets go of what the reader holds open only when a test says so. */
const clock = createManualClock();
let reader: NetlinkInterfaceReader;
let directory: string;

beforeAll(async () => {
  reader = await createNetlinkInterfaceReader({ clock });
  directory = await mkdtemp(join(tmpdir(), "podplug-interfaces-"));
});

afterAll(async () => {
  reader[Symbol.dispose]();
  await rm(directory, { recursive: true });
});

describe("the real kernel", () => {
  interfaceReaderContract(async () => {
    const stack = new AsyncDisposableStack();
    const netns = stack.use(await makeNetns());
    const other = stack.use(await makeNetns());
    const process = stack.use(await netns.hold());
    const ip = (path: string, ...args: string[]): Promise<void> =>
      (path === netns.path ? netns : other).ip(...args);
    const fifo = join(directory, `${netns.name}.fifo`);
    await execute("mkfifo", [fifo]);
    return {
      reader,
      netns: netns.path,
      alias: `/proc/${process.pid}/ns/net`,
      otherNetns: other.path,
      nothing: `${netns.path}-none`,
      notNamespaces: ["/etc/passwd", "/dev/null", "/run", "/proc/self/ns/mnt", "/proc/self/ns/user", fifo],
      async addLink(path, { name, mac, mtu, up, ips }) {
        await ip(path, "link", "add", name, "address", mac, "mtu", String(mtu), "type", "bridge");
        for (const address of ips) await ip(path, "addr", "add", address, "dev", name);
        if (up) await ip(path, "link", "set", name, "up");
      },
      renameLink: (path, from, to) => ip(path, "link", "set", from, "name", to),
      removeLink: (path, name) => ip(path, "link", "del", name),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  });
});

/** What iproute2 says of the same namespace, in our words. */
async function asIpSaysIt(netns: TestNetns): Promise<unknown> {
  const links = await netns.ipJson<IpLink[]>("addr");
  return links
    .filter(({ ifname }) => ifname !== "lo")
    .sort((a, b) => a.ifindex - b.ifindex)
    .map(({ ifindex, ifname, address, mtu, flags, addr_info }) => ({
      index: ifindex,
      name: ifname,
      mac: address ?? "",
      mtu,
      up: flags.includes("UP") && flags.includes("LOWER_UP"),
      ips: addr_info.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    }));
}

interface Counted {
  readonly stats64: Readonly<Record<"rx" | "tx", { readonly bytes: number; readonly packets: number }>>;
}

describe("links of every kind are listed as iproute2 lists them", () => {
  test("veths, with both ends up, one down, and the peer elsewhere", async () => {
    await using netns = await makeNetns();
    await using peer = await makeNetns();
    await addVethPair({ netns, name: "both" }, { netns: peer, name: "both" });
    await addVethPair({ netns, name: "nocarrier" }, { netns: peer, name: "peer" });
    await peer.ip("link", "set", "peer", "down");
    await netns.ip("link", "add", "idle", "type", "veth", "peer", "name", "idle2");
    await netns.ip("link", "set", "both", "mtu", "9000");
    const links = await reader.list({ netnsPath: netns.path }, signal);
    expect(links.map(({ name, up, mtu }) => ({ name, up, mtu }))).toEqual(
      expect.arrayContaining([
        { name: "both", up: true, mtu: 9000 },
        { name: "nocarrier", up: false, mtu: 1500 },
        { name: "idle", up: false, mtu: 1500 },
      ]),
    );
    expect(links).toEqual(await asIpSaysIt(netns));
  });

  test("what a veth has carried, as iproute2 counts it", async () => {
    await using netns = await makeNetns();
    await using peer = await makeNetns();
    await addVethPair({ netns, name: "data0" }, { netns: peer, name: "data0" });
    const ours = async (): Promise<readonly (number | undefined)[]> => {
      const [link] = await reader.list({ netnsPath: netns.path, counters: true }, signal);
      const { rxBytes, rxPackets, txBytes, txPackets } = link?.counters ?? {};
      return [rxBytes, rxPackets, txBytes, txPackets];
    };
    const theirs = async (): Promise<readonly (number | undefined)[]> => {
      const [link] = await netns.ipJson<Counted[]>("-s", "link", "show", "data0");
      const { rx, tx } = link?.stats64 ?? {};
      return [rx?.bytes, rx?.packets, tx?.bytes, tx?.packets];
    };
    // Nobody listens there: the question for the address and the refusal come back.
    await netns.ip("addr", "add", "10.9.9.1/24", "dev", "data0");
    await peer.ip("addr", "add", "10.9.9.2/24", "dev", "data0");
    await netns.run("bash", "-c", "echo > /dev/udp/10.9.9.2/9");
    await expect.poll(theirs, { timeout: 10_000 }).not.toContain(0);
    await expect
      .poll(async () => (await ours()).join() === (await theirs()).join(), { timeout: 10_000 })
      .toBe(true);
  });

  test("a bridge with a port, a macvlan, and a tun", async () => {
    await using netns = await makeNetns();
    await netns.ip("link", "add", "br0", "type", "bridge");
    await netns.ip("link", "add", "port", "type", "veth", "peer", "name", "port2");
    await netns.ip("link", "add", "lower", "type", "veth", "peer", "name", "lower2");
    await netns.ip("link", "add", "mac0", "link", "lower", "type", "macvlan", "mode", "bridge");
    await netns.ip("link", "set", "port", "master", "br0", "up");
    await netns.ip("link", "set", "port2", "up");
    await netns.ip("link", "set", "br0", "up");
    // Whoever runs the tests may make no tun on some machines; iproute2 is asked all the same.
    if (mayMakeTuns) await netns.ip("tuntap", "add", "tun0", "mode", "tun");
    // A carrier comes when it comes.
    const isAsIpSays = async (): Promise<boolean> => {
      const [ours, theirs] = [await reader.list({ netnsPath: netns.path }, signal), await asIpSaysIt(netns)];
      return isDeepStrictEqual(ours, theirs);
    };
    await expect.poll(isAsIpSays, { timeout: 10_000 }).toBe(true);
  });

  test("several IPv4 and IPv6 addresses, point-to-point ones too, in the kernel's order", async () => {
    await using netns = await makeNetns();
    await netns.ip("link", "add", "one", "type", "veth", "peer", "name", "two");
    for (const address of [
      "10.1.0.2/16",
      "10.1.0.3/16",
      "192.0.2.1/32",
      "fd00::1/64",
      "2001:db8:0:0:1:0:0:1/128",
    ]) {
      await netns.ip("addr", "add", address, "dev", "one", ...(address.includes(":") ? ["nodad"] : []));
    }
    await netns.ip("addr", "add", "::ffff:192.0.2.7/96", "dev", "two", "nodad");
    await netns.ip("addr", "add", "10.2.0.1", "peer", "10.2.0.2/30", "dev", "two");
    await netns.ip("link", "set", "one", "up");
    await netns.ip("link", "set", "two", "up");
    const links = await reader.list({ netnsPath: netns.path }, signal);
    expect(links).toEqual(await asIpSaysIt(netns));
    expect(links.find(({ name }) => name === "one")?.ips).toEqual(
      expect.arrayContaining(["10.1.0.2/16", "10.1.0.3/16", "fd00::1/64", "2001:db8::1:0:0:1/128"]),
    );
    expect(links.find(({ name }) => name === "two")?.ips).toEqual(
      expect.arrayContaining(["10.2.0.1/30", "::ffff:192.0.2.7/96"]),
    );
  });

  test("two hundred interfaces, which take several datagrams", async () => {
    await using netns = await makeNetns();
    const batch = join(directory, "many");
    const lines = Array.from({ length: 200 }, (_, n) => [
      `link add many${n} type bridge`,
      `addr add 10.3.${n}.1/24 dev many${n}`,
      `addr add fd00:${n}::1/64 dev many${n}`,
    ]);
    await writeFile(batch, lines.flat().join("\n"));
    await netns.ip("-batch", batch);
    const links = await reader.list({ netnsPath: netns.path }, signal);
    expect(links).toHaveLength(200);
    expect(links).toEqual(await asIpSaysIt(netns));
  });

  test("a name of fifteen bytes that aren't ASCII", async () => {
    await using netns = await makeNetns();
    await netns.ip("link", "add", "ñandú-ŝtormo", "type", "bridge");
    expect(await reader.list({ netnsPath: netns.path }, signal)).toMatchObject([{ name: "ñandú-ŝtormo" }]);
  });
});

describe("a namespace is found", () => {
  test("by a bind mount elsewhere and by a symbolic link", async () => {
    await using netns = await makeNetns();
    await netns.ip("link", "add", "here", "type", "bridge");
    const mounted = join(directory, "mounted");
    await writeFile(mounted, "");
    await execute("mount", ["--bind", netns.path, mounted]);
    const linked = join(directory, "linked");
    await symlink(netns.path, linked);
    try {
      const identity = await reader.identify(netns.path, signal);
      for (const path of [mounted, linked]) {
        expect(await reader.identify(path, signal)).toEqual(identity);
        expect(await reader.list({ netnsPath: path }, signal)).toMatchObject([{ name: "here" }]);
      }
    } finally {
      await execute("umount", [mounted]);
    }
  });

  test("by a process alone, until that process ends", async () => {
    const process = await holdUnnamedNetns();
    const path = `/proc/${process.pid}/ns/net`;
    try {
      expect(await reader.list({ netnsPath: path }, signal)).toEqual([]);
    } finally {
      await process[Symbol.asyncDispose]();
    }
    await expect(reader.list({ netnsPath: path }, signal)).rejects.toEqual(failure("TARGET_NOT_FOUND"));
  });
});

test("a path that isn't one is TARGET_INVALID", async () => {
  const loop = join(directory, "loop");
  await symlink(loop, loop);
  for (const path of ["with\0nul", loop, `/${"x".repeat(5000)}`]) {
    await expect(reader.identify(path, signal)).rejects.toEqual(failure("TARGET_INVALID"));
  }
});

test("a socket file is TARGET_INVALID and gets no connection", async () => {
  const path = join(directory, "socket");
  const server = createServer(() => expect.unreachable("somebody connected"));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await expect(reader.identify(path, signal)).rejects.toEqual(failure("TARGET_INVALID"));
  await new Promise((resolve) => server.close(resolve));
});

test("a namespace that is new under an old name has another identity", async () => {
  await using netns = await makeNetns();
  const before = await reader.identify(netns.path, signal);
  await execute("ip", ["netns", "delete", netns.name]);
  await execute("ip", ["netns", "add", netns.name]);
  const after = await reader.identify(netns.path, signal);
  expect(after).not.toEqual(before);
  expect(after.cookie).toMatch(/^\d+$/);
});

test("a namespace is let go a moment after the last look into it", async () => {
  const later = createManualClock();
  using holding = await createNetlinkInterfaceReader({ clock: later });
  await using outer = await makeNetns();
  await using inner = await makeNetns();
  await addVethPair({ netns: outer, name: "host0" }, { netns: inner, name: "net0" });
  const place = { netnsPath: inner.path, netns: await holding.identify(inner.path, signal) };
  expect(await holding.list(place, signal)).toMatchObject([{ name: "net0" }]);
  await execute("ip", ["netns", "delete", inner.name]);
  await expect(holding.list(place, signal)).rejects.toEqual(failure("TARGET_NOT_FOUND"));
  expect(await outer.ipJson<IpLink[]>("link")).toContainEqual(expect.objectContaining({ ifname: "host0" }));
  later.advance(1_000);
  const isGone = async (): Promise<boolean> => {
    const links = await outer.ipJson<IpLink[]>("link");
    return links.every(({ ifname }) => ifname !== "host0");
  };
  await expect.poll(isGone, { timeout: 10_000 }).toBe(true);
});

test("a look that was broken off leaves nothing to the next one", async () => {
  await using netns = await makeNetns();
  await netns.ip("link", "add", "steady", "type", "bridge");
  for (let round = 0; round < 200; round += 1) {
    const given = AbortSignal.timeout(round % 3);
    const [, links] = await Promise.all([
      reader.list({ netnsPath: netns.path }, given).catch(() => undefined),
      reader.list({ netnsPath: netns.path }, signal),
    ]);
    expect(links).toMatchObject([{ name: "steady" }]);
  }
});

test("a list stays whole while links come and go", async () => {
  await using netns = await makeNetns();
  await netns.ip("link", "add", "steady", "address", "02:00:00:00:00:01", "type", "bridge");
  await netns.ip("addr", "add", "10.4.0.1/24", "dev", "steady");
  const batch = join(directory, "churn");
  const lines = Array.from({ length: 60 }, (_, n) => [
    `link add churn${n} type bridge`,
    `addr add 10.5.0.1/24 dev churn${n}`,
    `link del churn${n}`,
  ]);
  await writeFile(batch, lines.flat().join("\n"));
  const churned = new AbortController();
  const churn = netns.ip("-batch", batch).finally(() => churned.abort());
  let looks = 0;
  while (!churned.signal.aborted) {
    const links = await reader.list({ netnsPath: netns.path }, signal);
    const steady = links.filter(({ name }) => name === "steady");
    expect(steady).toMatchObject([{ mac: "02:00:00:00:00:01", ips: ["10.4.0.1/24"] }]);
    expect(links.length).toBeLessThanOrEqual(2);
    looks += 1;
  }
  await churn;
  expect(looks).toBeGreaterThan(5);
  expect(await reader.list({ netnsPath: netns.path }, signal)).toHaveLength(1);
});

test("a thousand looks, good and bad, leave no descriptor open and every thread at home", async () => {
  await using netns = await makeNetns();
  const descriptors = async (): Promise<number> => (await readdir("/proc/self/fd")).length;
  clock.advance(1_000);
  const before = await descriptors();
  const looking = await createNetlinkInterfaceReader();
  const home = await readlink("/proc/thread-self/ns/net");
  const look = async (n: number): Promise<void> => {
    await looking.list({ netnsPath: netns.path }, signal);
    await looking.identify(netns.path, signal);
    await looking.identify("/proc/self/ns/mnt", signal).catch(() => undefined);
    await looking.list({ netnsPath: netns.path }, AbortSignal.timeout(n % 2)).catch(() => undefined);
  };
  // Those that were given up end too before these two: places are handed on in order.
  const settle = (): Promise<unknown> =>
    Promise.all([
      looking.list({ netnsPath: netns.path }, signal),
      looking.list({ netnsPath: netns.path }, signal),
    ]);
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(Array.from({ length: 25 }, (_, n) => look(n)));
  }
  await settle();
  looking[Symbol.dispose]();
  await expect.poll(descriptors, { timeout: 10_000 }).toBe(before);
  const tasks = await readdir("/proc/self/task");
  expect(tasks.length).toBeGreaterThan(4);
  for (const task of tasks) expect(await readlink(`/proc/self/task/${task}/ns/net`)).toBe(home);
});

test("a reader that is disposed of holds nothing", async () => {
  clock.advance(1_000);
  const before = (await readdir("/proc/self/fd")).length;
  const another = await createNetlinkInterfaceReader();
  another[Symbol.dispose]();
  expect((await readdir("/proc/self/fd")).length).toBe(before);
});
