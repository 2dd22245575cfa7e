import { chmod, chown, lstat, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { createServer, Socket } from "node:net";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { type ServerOptions, startServer } from "../../src/server/server.ts";
import { lockFile } from "../../src/state-lock.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { failure } from "../support/failure.ts";
import { makeDirectory, run } from "./started-server.ts";

async function start(listen: ServerOptions["listen"]) {
  const server = await startServer({
    ...createFakeNode(),
    listen,
    log: silentLogger,
    version: "0",
  });
  onTestFinished(() => server.close(0));
  return server;
}

async function answersOn(path: string): Promise<boolean> {
  const nodeOptions = { createConnection: () => new Socket().connect(path) };
  const transport = createConnectTransport({ baseUrl: "http://x", httpVersion: "1.1", nodeOptions });
  const answer = await createClient(NodeService, transport).getNodeInfo({});
  return answer.nodeName === "fake-node";
}

/** What a process that was killed leaves behind. */
async function leaveDeadSocket(path: string): Promise<void> {
  const script = `require("net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  await run(process.execPath, ["-e", script], "/");
  expect((await lstat(path)).isSocket()).toBe(true);
}

/** Another group than ours where we may give files away, else our own. */
async function groupToGive(): Promise<number> {
  const file = join(await makeDirectory(), "file");
  await writeFile(file, "");
  const nogroup = 65_534;
  return await chown(file, -1, nogroup).then(
    () => nogroup,
    () => process.getgid?.() ?? 0,
  );
}

const unusable = (words: string) => failure("INVALID_CONFIGURATION", words);

describe("the Unix socket", () => {
  test.each([0o600, 0o660, 0o666])("has the mode that was asked for, %o", async (mode) => {
    const path = join(await makeDirectory(), "p.sock");
    await start({ socket: { path, mode } });
    const stat = await lstat(path);
    expect(stat.isSocket()).toBe(true);
    expect((stat.mode & 0o7777).toString(8)).toBe(mode.toString(8));
  });

  test("has the group that was asked for, by name or number", async () => {
    const gid = await groupToGive();
    const groups = (await readFile("/etc/group", "utf8")).split("\n").map((line) => line.split(":"));
    const name = groups.find(([, , number]) => number === `${gid}`)?.[0];
    for (const group of [`${gid}`, ...(name ? [name] : [])]) {
      const path = join(await makeDirectory(), "p.sock");
      await start({ socket: { path, mode: 0o660, group } });
      const stat = await lstat(path);
      expect({ gid: stat.gid, mode: stat.mode & 0o7777 }).toEqual({ gid, mode: 0o660 });
    }
  });

  test("of an unknown group isn't opened", async () => {
    const directory = await makeDirectory();
    const socket = { path: join(directory, "p.sock"), mode: 0o660, group: "no-such-group" };
    await expect(start({ socket })).rejects.toEqual(unusable("no-such-group"));
    expect(await readdir(directory)).toEqual([]);
  });

  test("leaves nothing beside it, and nothing when it is closed", async () => {
    const directory = await makeDirectory();
    const server = await start({ socket: { path: join(directory, "p.sock"), mode: 0o600 } });
    expect(await readdir(directory)).toEqual(["p.sock"]);
    await server.close(0);
    expect(await readdir(directory)).toEqual([]);
  });

  test("gets its directories, open to all to pass", async () => {
    const directory = await makeDirectory();
    const path = join(directory, "run", "podplug", "p.sock");
    const umask = process.umask(0o077);
    onTestFinished(() => {
      process.umask(umask);
    });
    await start({ socket: { path, mode: 0o666 } });
    for (const made of ["run", "run/podplug"]) {
      expect(((await lstat(join(directory, made))).mode & 0o777).toString(8)).toBe("755");
    }
    expect(((await lstat(path)).mode & 0o777).toString(8)).toBe("666");
  });

  test("leaves a directory that was there as it was", async () => {
    const directory = join(await makeDirectory(), "mine");
    await mkdir(directory);
    await chmod(directory, 0o700);
    await start({ socket: { path: join(directory, "p.sock"), mode: 0o600 } });
    expect(((await lstat(directory)).mode & 0o777).toString(8)).toBe("700");
  });

  test.each([0o1777, 0o757])("isn't opened in a directory that everybody may write to, %o", async (mode) => {
    const directory = join(await makeDirectory(), "open");
    await mkdir(directory);
    await chmod(directory, mode);
    const socket = { path: join(directory, "p.sock"), mode: 0o600 };
    await expect(start({ socket })).rejects.toEqual(
      unusable("where others than root and the agent may write"),
    );
    expect(await readdir(directory)).toEqual([]);
  });

  test("isn't opened in a directory that another group than ours may write to", async () => {
    const directory = join(await makeDirectory(), "shared");
    const gid = await groupToGive();
    await mkdir(directory);
    await chown(directory, -1, gid);
    await chmod(directory, 0o775);
    const opened = start({ socket: { path: join(directory, "p.sock"), mode: 0o600 } });
    if (gid === process.getgid?.()) expect((await opened).addresses.socket).toContain("p.sock");
    else await expect(opened).rejects.toEqual(unusable("others than root"));
  });

  test.each(["nobody", "a dead process"])(
    "goes to one of many who come at once, after %s",
    async (before) => {
      const path = join(await makeDirectory(), "p.sock");
      if (before !== "nobody") await leaveDeadSocket(path);
      const socket = { path, mode: 0o600, lock: lockFile };
      const coming = Array.from({ length: 8 }, () => start({ socket }));
      const ends = await Promise.allSettled(coming);
      expect(ends.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
      for (const end of ends) {
        if (end.status === "rejected") expect(end.reason).toEqual(unusable("in use by another process"));
      }
      expect(await answersOn(path)).toBe(true);
    },
  );

  test("of a dead process is replaced", async () => {
    const path = join(await makeDirectory(), "p.sock");
    await leaveDeadSocket(path);
    await start({ socket: { path, mode: 0o600 } });
    expect(await answersOn(path)).toBe(true);
  });

  test("of a live process is left alone", async () => {
    const path = join(await makeDirectory(), "p.sock");
    await start({ socket: { path, mode: 0o600 } });
    await expect(start({ socket: { path, mode: 0o600 } })).rejects.toEqual(
      unusable("in use by another process"),
    );
    expect(await answersOn(path)).toBe(true);
  });

  test("that another agent put in its place stays when this one closes", async () => {
    const path = join(await makeDirectory(), "p.sock");
    const first = await start({ socket: { path, mode: 0o600 } });
    const stranger = createServer();
    const { rm } = await import("node:fs/promises");
    await rm(path);
    const { promise, resolve } = Promise.withResolvers<void>();
    stranger.listen(path, resolve);
    onTestFinished(() => {
      stranger.close();
    });
    await promise;
    await first.close(0);
    expect((await lstat(path)).isSocket()).toBe(true);
  });

  test("doesn't replace a file, a directory or a link", async () => {
    const directory = await makeDirectory();
    const [file, folder, link] = ["file", "folder", "link"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    await writeFile(file, "precious");
    await mkdir(folder);
    await symlink(file, link);
    for (const path of [file, folder, link]) {
      await expect(start({ socket: { path, mode: 0o600 } })).rejects.toEqual(unusable("isn't a socket"));
    }
    expect(await readFile(file, "utf8")).toBe("precious");
    expect((await readdir(directory)).sort()).toEqual(["file", "folder", "link"]);
  });

  test("with a path longer than the kernel's isn't opened", async () => {
    const directory = await makeDirectory();
    const path = join(directory, "x".repeat(107 - directory.length));
    expect(path).toHaveLength(108);
    await expect(start({ socket: { path, mode: 0o600 } })).rejects.toEqual(unusable("longer than 107 bytes"));
    const longest = path.slice(0, 107);
    await start({ socket: { path: longest, mode: 0o600 } });
    expect(await answersOn(longest)).toBe(true);
  });

  test("in a place that can't be written says so", async () => {
    const directory = await makeDirectory();
    await writeFile(join(directory, "file"), "");
    const socket = { path: join(directory, "file", "p.sock"), mode: 0o600 };
    await expect(start({ socket })).rejects.toEqual(unusable("can't listen on socket"));
  });
});

describe("the TCP port", () => {
  test.each(["127.0.0.1", "127.8.9.10", "::1", "localhost"])("opens on %s", async (host) => {
    const server = await start({ tcp: { host, port: 0, insecure: true } });
    expect(server.addresses.tcp?.port).toBeGreaterThan(0);
  });

  test.each([
    "0.0.0.0",
    "::",
    "",
    "192.0.2.1",
    "::ffff:192.0.2.1",
    "example.com",
    "127.0.0.1.example.com",
    "127.1",
  ])("doesn't open on %j without TLS", async (host) => {
    const tcp = { host, port: 0, insecure: true };
    await expect(start({ tcp })).rejects.toEqual(unusable("isn't a loopback address"));
  });

  test("doesn't open without TLS unless somebody says so", async () => {
    const tcp = { host: "127.0.0.1", port: 0, insecure: false };
    await expect(start({ tcp })).rejects.toEqual(unusable("insecure"));
  });

  test("that is taken says so, and the socket beside it isn't left open", async () => {
    const directory = await makeDirectory();
    const first = await start({ tcp: { host: "127.0.0.1", port: 0, insecure: true } });
    const port = first.addresses.tcp?.port ?? 0;
    const socket = { path: join(directory, "p.sock"), mode: 0o600 };
    const failed = start({ socket, tcp: { host: "127.0.0.1", port, insecure: true } });
    await expect(failed).rejects.toEqual(failure("ADDRESS_UNAVAILABLE", `127.0.0.1:${port}`));
    expect(await readdir(directory)).toEqual([]);
  });
});
