import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { createNetlinkInterfaceReader, type NetlinkInterfaceReader } from "../../src/interfaces/netlink.ts";
import { createNetnsLocator } from "../../src/sandbox/netns-files.ts";
import { namespaceLocatorContract } from "../contracts/sandbox-locator.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { failure } from "../support/failure.ts";
import { makeNetns } from "../support/netns.ts";

const execute = promisify(execFile);
const { signal } = new AbortController();

let interfaces: NetlinkInterfaceReader;
let scratch: string;

beforeAll(async () => {
  interfaces = await createNetlinkInterfaceReader();
  scratch = await mkdtemp(join(tmpdir(), "podplug-netns-"));
});

afterAll(async () => {
  interfaces[Symbol.dispose]();
  await rm(scratch, { recursive: true });
});

describe("namespaces of the real kernel", () => {
  namespaceLocatorContract(async () => {
    const stack = new AsyncDisposableStack();
    return {
      locator: createNetnsLocator({ interfaces }),
      interfaces,
      namespaces: {
        async add() {
          const netns = stack.use(await makeNetns());
          const process = stack.use(await netns.hold());
          return [netns.path, `/proc/${process.pid}/ns/net`];
        },
        nothing: "/run/netns/there-is-none",
        notNamespace: "/etc/passwd",
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  });

  test("a name is one of the directory", async () => {
    await using netns = await makeNetns();
    const locator = createNetnsLocator({ interfaces });
    const byPath = await locator.locate({ kind: "netns", netns: netns.path }, signal);
    expect(await locator.locate({ kind: "netns", netns: netns.name }, signal)).toEqual(byPath);
    expect(byPath.id).toMatch(/^netns-[0-9a-f]{32}$/);
  });

  test("a path is cleaned", async () => {
    await using netns = await makeNetns();
    const locator = createNetnsLocator({ interfaces });
    const sandbox = await locator.locate(
      { kind: "netns", netns: `/run//netns/../netns/./${netns.name}` },
      signal,
    );
    expect(sandbox.netnsPath).toBe(netns.path);
  });

  test("the host's own namespace is refused, whatever it is called", async () => {
    const mounted = join(scratch, "host");
    await writeFile(mounted, "");
    await execute("mount", ["--bind", "/proc/self/ns/net", mounted]);
    try {
      const locator = createNetnsLocator({ interfaces });
      for (const netns of [mounted, "/proc/self/ns/net", `/proc/${process.pid}/ns/net`, "/proc/1/ns/net"]) {
        await expect(locator.locate({ kind: "netns", netns }, signal)).rejects.toEqual(
          failure("TARGET_INVALID", "the host's own"),
        );
      }
    } finally {
      await execute("umount", [mounted]);
    }
  });

  test("the directory is listed once per namespace, by first name, without the host's and other files", async () => {
    const directory = join(scratch, "listed");
    await mkdir(join(directory, "a-directory"), { recursive: true });
    await using red = await makeNetns();
    await using blue = await makeNetns();
    const mounts = {
      "1-red": red.path,
      "2-blue": blue.path,
      "3-red-again": red.path,
      "0-host": "/proc/self/ns/net",
    };
    const mounted: string[] = [];
    try {
      for (const [name, path] of Object.entries(mounts)) {
        await writeFile(join(directory, name), "");
        await execute("mount", ["--bind", path, join(directory, name)]);
        mounted.push(join(directory, name));
      }
      await writeFile(join(directory, "plain-file"), "");
      const locator = createNetnsLocator({ interfaces, directory });
      expect(await locator.list(signal)).toEqual([
        {
          ...(await locator.locate({ kind: "netns", netns: red.path }, signal)),
          netnsPath: join(directory, "1-red"),
        },
        {
          ...(await locator.locate({ kind: "netns", netns: blue.path }, signal)),
          netnsPath: join(directory, "2-blue"),
        },
      ]);
    } finally {
      for (const path of mounted) await execute("umount", [path]);
    }
  });
});

describe("with a kernel in memory", () => {
  test("what is neither a path nor a name is TARGET_INVALID", async () => {
    const locator = createNetnsLocator({ interfaces: createFakeInterfaces() });
    for (const netns of ["", ".", "..", "a/b", "../netns/a", "./a", "a\0b", "/run/netns/a\0b"]) {
      await expect(locator.locate({ kind: "netns", netns }, signal)).rejects.toEqual(
        failure("TARGET_INVALID"),
      );
    }
  });

  test("a container is TARGET_INVALID", async () => {
    const locator = createNetnsLocator({ interfaces: createFakeInterfaces() });
    await expect(locator.locate({ kind: "container", containerId: "4f" }, signal)).rejects.toEqual(
      failure("TARGET_INVALID", "container 4f"),
    );
  });

  test("it says what runs here", async () => {
    expect(await createNetnsLocator({ interfaces: createFakeInterfaces() }).describe(signal)).toBe("netns");
  });

  test("a pod's refusal names the runtimes that know pods", async () => {
    const locator = createNetnsLocator({ interfaces: createFakeInterfaces() });
    await expect(
      locator.locate({ kind: "pod", pod: { namespace: "demo", name: "web" } }, signal),
    ).rejects.toThrow(
      "can't find pod demo/web: runtime netns knows only network namespaces; cri and docker know pods",
    );
  });

  test("a recycled inode under an old path is another sandbox", async () => {
    const fake = createFakeInterfaces();
    fake.addNetns("/run/netns/a");
    const locator = createNetnsLocator({ interfaces: fake });
    const before = await locator.locate({ kind: "netns", netns: "a" }, signal);
    fake.recycleNetns("/run/netns/a");
    expect((await locator.locate({ kind: "netns", netns: "a" }, signal)).id).not.toBe(before.id);
  });

  test("a host path that can't be read is passed over", async () => {
    const fake = createFakeInterfaces();
    fake.addNetns("/run/netns/a");
    const locator = createNetnsLocator({
      interfaces: {
        ...fake,
        identify: async (path, looking) => {
          if (path === "/proc/1/ns/net") throw new PodplugError("PRIVILEGE_MISSING", "no CAP_SYS_PTRACE");
          return await fake.identify(path, looking);
        },
      },
    });
    expect(await locator.locate({ kind: "netns", netns: "a" }, signal)).toMatchObject({
      netnsPath: "/run/netns/a",
    });
  });

  test("a directory that isn't there lists nothing", async () => {
    const locator = createNetnsLocator({
      interfaces: createFakeInterfaces(),
      directory: join(scratch, "none"),
    });
    expect(await locator.list(signal)).toEqual([]);
  });

  test("an entry that vanishes while it is listed is skipped", async () => {
    const directory = join(scratch, "vanishing");
    await mkdir(directory);
    for (const name of ["gone", "here"]) await writeFile(join(directory, name), "");
    const fake = createFakeInterfaces();
    fake.addNetns(join(directory, "here"));
    const locator = createNetnsLocator({ interfaces: fake, directory });
    expect(await locator.list(signal)).toMatchObject([{ netnsPath: join(directory, "here") }]);
  });

  test("a failure of another kind isn't mistaken for an empty node", async () => {
    const directory = join(scratch, "failing");
    await mkdir(directory);
    await writeFile(join(directory, "a"), "");
    const fake = createFakeInterfaces();
    const locator = createNetnsLocator({ interfaces: fake, directory, hostNetnsPaths: [] });
    fake.failWith(new PodplugError("INTERNAL", "the kernel is busy"));
    await expect(locator.list(signal)).rejects.toEqual(failure("INTERNAL"));
  });
});
