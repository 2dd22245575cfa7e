import { renameSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { createNodeClient, type NodeClient, type NodeClientOptions } from "../../src/client/node-client.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { startServer } from "../../src/server/server.ts";
import { createWorld } from "../attachments/world.ts";
import { nodeApiContract } from "../contracts/node-api.ts";
import { eventually } from "../server/eventually.ts";
import { makeDirectory, startTestServer } from "../server/started-server.ts";

const clients: NodeClient[] = [];

function clientOf(server: string, options: Partial<NodeClientOptions> = {}): NodeClient {
  const client = createNodeClient({ server, ...options });
  clients.push(client);
  return client;
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

const web = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;

describe("over the wire, to an engine on a fake kernel,", () => {
  nodeApiContract(async () => {
    const directory = await makeDirectory();
    const world = await createWorld();
    const path = join(directory, "podplug.sock");
    const server = await startServer({
      apiFor: (caller) => world.as(caller.name),
      targetOf: () => undefined,
      listen: { socket: { path, mode: 0o600 }, tcp: { host: "127.0.0.1", port: 0, insecure: true } },
      log: silentLogger,
      version: "0.0.0",
    });
    const bySocket = createNodeClient({ server: `unix://${path}` });
    const byPort = createNodeClient({ server: `http://127.0.0.1:${server.addresses.tcp?.port}` });
    let targets = 0;
    return {
      api: bySocket,
      other: byPort,
      async addTarget() {
        targets += 1;
        const netns = `/run/netns/t${targets}`;
        return { target: await world.addNetns(netns), linkNames: async () => world.linkNames(netns) };
      },
      leases: async () => world.executor.leases().length,
      async [Symbol.asyncDispose]() {
        await bySocket.close();
        await byPort.close();
        await server.close(1000);
        await world.engine.drain();
      },
    };
  });
});

describe("an agent that can't be reached is UNREACHABLE, and the message says why:", () => {
  test("there is no socket", async () => {
    const path = join(await makeDirectory(), "none.sock");
    await expect(clientOf(`unix://${path}`).info(neverAborted)).rejects.toMatchObject({
      reason: "UNREACHABLE",
      message: `no socket at unix://${path}: the agent doesn't run here, or listens elsewhere (see --server)`,
    });
  });

  test("the socket is a dead agent's", async () => {
    const path = join(await makeDirectory(), "podplug.sock");
    const dead = await listening(path);
    renameSync(path, `${path}.old`);
    await closed(dead);
    await expect(clientOf(`unix://${path}.old`).info(neverAborted)).rejects.toMatchObject({
      reason: "UNREACHABLE",
      message: expect.stringContaining("nobody listens on") as string,
    });
  });

  test("nobody listens at the port", async () => {
    const server = await listening(0);
    const address = server.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    await closed(server);
    await expect(clientOf(`http://127.0.0.1:${port}`).info(neverAborted)).rejects.toMatchObject({
      reason: "UNREACHABLE",
      message: expect.stringContaining(`nobody listens at http://127.0.0.1:${port}`) as string,
    });
  });

  test("something else listens there", async () => {
    const path = join(await makeDirectory(), "other.sock");
    const server = await listening(path);
    server.on("connection", (socket) => {
      // Unread, the client's leaving would go unnoticed.
      socket.on("error", () => {}).resume();
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
    onTestFinished(() => closed(server));
    await expect(clientOf(`unix://${path}`).info(neverAborted)).rejects.toMatchObject({
      reason: "UNREACHABLE",
      message: expect.stringContaining("isn't podplug") as string,
    });
  });

  test("the host has no address", async () => {
    await expect(clientOf("https://no-such-host.invalid:7654").info(neverAborted)).rejects.toMatchObject({
      reason: "UNREACHABLE",
      message: expect.stringContaining("can't be resolved") as string,
    });
  });

  test("it went away in the middle of a call", async () => {
    const { node, server, socketPath } = await startTestServer();
    node.pause();
    const attaching = clientOf(`unix://${socketPath}`).attach(
      { target: web, network: { name: "net-a" } },
      neverAborted,
    );
    const failure = errorOf(attaching);
    await eventually(() => node.waiting === 1, "the call has begun");
    await server.close(0);
    expect(await failure).toMatchObject({ kind: "unavailable" });
  });
});

/** Heard from the start, since the call may fail before anybody waits for it. */
function errorOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => undefined,
    (error: unknown) => error,
  );
}

async function listening(where: string | number): Promise<Server> {
  const server = createServer();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("error", reject);
  if (typeof where === "number") server.listen(where, "127.0.0.1", resolve);
  else server.listen(where, resolve);
  await promise;
  return server;
}

function closed(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  return promise;
}

test("a call takes no longer than its timeout, and stops waiting on the node too", async () => {
  const { node, socketPath } = await startTestServer();
  node.pause();
  const client = clientOf(`unix://${socketPath}`, { timeoutMs: 100 });
  await expect(client.list({}, neverAborted)).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  await eventually(() => node.waiting === 0, "the node stopped waiting");
  await expect(client.list({}, AbortSignal.timeout(20))).rejects.toMatchObject({
    reason: "DEADLINE_EXCEEDED",
  });
});

test("a canceled call ends at once here, and on the node", async () => {
  const { node, socketPath } = await startTestServer();
  node.pause();
  const leaving = new AbortController();
  const listing = clientOf(`unix://${socketPath}`).list({}, leaving.signal);
  const failure = errorOf(listing);
  await eventually(() => node.waiting === 1, "the call has begun");
  leaving.abort();
  expect(await failure).toMatchObject({ reason: "CANCELED" });
  await eventually(() => node.waiting === 0, "the node stopped waiting");
});

test("closing ends what runs with CANCELED, and takes nothing new", async () => {
  const { node, socketPath } = await startTestServer();
  node.pause();
  const client = clientOf(`unix://${socketPath}`);
  const failure = errorOf(client.list({}, neverAborted));
  await eventually(() => node.waiting === 1, "the call has begun");
  await client.close();
  expect(await failure).toMatchObject({ reason: "CANCELED" });
  await expect(client.info(neverAborted)).rejects.toMatchObject({ reason: "CANCELED" });
});

test("a client outlives its agent's restart", async () => {
  const first = await startTestServer();
  const client = clientOf(`unix://${first.socketPath}`);
  await client.info(neverAborted);
  await first.server.close(0);
  await expect(client.info(neverAborted)).rejects.toMatchObject({ reason: "UNREACHABLE" });
  const again = await startServer({
    ...first.node,
    listen: { socket: { path: first.socketPath, mode: 0o600 } },
    log: silentLogger,
    version: "0.0.0",
  });
  onTestFinished(() => again.close(0));
  expect(await client.info(neverAborted)).toMatchObject({ nodeName: "fake-node" });
});

describe("a watch", () => {
  test("whose reader stops reading ends on the node too", async () => {
    const { node, socketPath } = await startTestServer();
    for await (const event of clientOf(`unix://${socketPath}`).watch({}, neverAborted)) {
      expect(event).toEqual({ kind: "synced" });
      break;
    }
    await eventually(() => node.watching === 0, "the watcher has gone");
  });

  test("ends normally when its signal aborts, before and during", async () => {
    const { socketPath } = await startTestServer();
    const client = clientOf(`unix://${socketPath}`);
    for await (const event of client.watch({}, AbortSignal.abort())) expect(event).toBeUndefined();
    const leaving = new AbortController();
    const kinds = [];
    for await (const { kind } of client.watch({}, leaving.signal)) {
      kinds.push(kind);
      leaving.abort();
    }
    expect(kinds).toEqual(["synced"]);
  });

  test("whose agent stops fails with AGENT_STOPPING", async () => {
    const { server, socketPath } = await startTestServer();
    const watching = (async () => {
      for await (const { kind } of clientOf(`unix://${socketPath}`).watch({}, neverAborted)) {
        if (kind === "synced") void server.close(5000);
      }
    })();
    await expect(watching).rejects.toMatchObject({ reason: "AGENT_STOPPING" });
  });

  test("on a target that isn't there fails like any other call", async () => {
    const { socketPath } = await startTestServer();
    const nowhere = { kind: "netns", netns: "/run/netns/nowhere" } as const;
    const watching = (async () => {
      for await (const event of clientOf(`unix://${socketPath}`).watch({ target: nowhere }, neverAborted)) {
        expect(event).toBeUndefined();
      }
    })();
    await expect(watching).rejects.toMatchObject({ reason: "TARGET_NOT_FOUND" });
  });
});

test.each([
  ["unix:relative.sock"],
  ["http://192.0.2.1:7654"],
  ["http://localhost.example.org:7654"],
  ["https://user:secret@node-1:7654"],
  ["https://node-1:7654/path"],
  ["https://node-1:7654?a"],
  ["tcp://node-1:7654"],
  ["node-1:7654"],
  [""],
])("server address %j is refused", (server) => {
  expect(() => createNodeClient({ server })).toThrow(
    expect.objectContaining({ reason: "INVALID_CONFIGURATION" }) as Error,
  );
});

test.each([
  ["http://127.0.0.1:1", { token: "x" }],
  ["unix:///run/x", { tokenFile: "x" }],
  ["https://node-1:1", { token: "x", tokenFile: "x" }],
  ["https://node-1:1", { clientKeyFile: "x" }],
])("with %s, credentials %j are refused", (server, options) => {
  expect(() => createNodeClient({ server, ...options })).toThrow(
    expect.objectContaining({ reason: "INVALID_CONFIGURATION" }) as Error,
  );
});
