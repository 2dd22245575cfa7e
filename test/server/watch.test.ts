import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { podplugErrorOf } from "../../src/wire/errors.ts";
import { eventually } from "./eventually.ts";
import { createGrpcClient } from "./grpc-client.ts";
import { methodPath, openRaw, type Started, startTestServer } from "./started-server.ts";

const web = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;

function operator({ node }: Started) {
  return node.apiFor({ name: "operator", reconciler: false });
}

async function attach(started: Started, name: string) {
  return await operator(started).attach({ target: web, network: { name } }, AbortSignal.timeout(5000));
}

/** A client program, what it printed so far, and how to kill it with its children; at the test's end at the latest. */
function start(command: string, args: string[], home: string) {
  const child = spawn(command, args, {
    env: { ...process.env, HOME: home },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("latin1").on("data", (text: string) => {
      printed += text;
    });
  }
  let killed = false;
  const kill = (): void => {
    if (!killed && child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    killed = true;
  };
  onTestFinished(kill);
  return { kill, printed: () => printed };
}

async function seesEvents(started: Started, printed: () => string): Promise<void> {
  await eventually(() => printed().includes("KIND_SYNCED"), "the watcher sees that it is synced");
  await attach(started, "net-a");
  await eventually(() => printed().includes("demo/net-a"), "the watcher sees the attachment");
  expect(started.node.watching).toBe(1);
}

describe("a watcher", () => {
  test.each(["grpc", "grpcweb", "connect"])(
    "by buf curl and %s sees changes until it is killed",
    async (protocol) => {
      const started = await startTestServer();
      const address = started.url + methodPath("WatchInterfaces");
      const { kill, printed } = start(
        "buf",
        ["curl", "--http2-prior-knowledge", "--protocol", protocol, "-d", "{}", address],
        started.directory,
      );
      await seesEvents(started, printed);
      kill();
      await eventually(() => started.node.watching === 0, "the watch ends");
    },
  );

  test.each(["--http1.1", "--http2-prior-knowledge"])(
    "by curl %s sees changes until it is killed",
    async (http) => {
      const started = await startTestServer();
      // One message of the Connect protocol's streams: a flag, the length, the JSON.
      const body = join(started.directory, "request");
      await writeFile(body, Buffer.from([0, 0, 0, 0, 2, ...Buffer.from("{}")]));
      const type = ["-H", "content-type: application/connect+json"];
      const address = started.url + methodPath("WatchInterfaces");
      const args = ["-sSN", "--output", "-", http, ...type, "--data-binary", `@${body}`, address];
      const { kill, printed } = start("curl", args, started.directory);
      await seesEvents(started, printed);
      kill();
      await eventually(() => started.node.watching === 0, "the watch ends");
    },
  );

  test.each(["TCP", "the Unix socket"])("by grpc-js over %s sees changes until it cancels", async (way) => {
    const started = await startTestServer();
    const address = way === "TCP" ? `127.0.0.1:${started.port}` : `unix:${started.socketPath}`;
    const watch = createGrpcClient(address).stream(NodeService.method.watchInterfaces, {});
    const kinds: number[] = [];
    watch.on("data", ({ kind }) => kinds.push(kind));
    watch.on("error", () => {});
    await eventually(() => kinds.includes(2), "the watcher sees that it is synced");
    await attach(started, "net-a");
    await eventually(() => kinds.includes(3), "the watcher sees the attachment");
    watch.cancel();
    await eventually(() => started.node.watching === 0, "the watch ends");
  });

  test("gets the failure that an attachment met", async () => {
    const started = await startTestServer();
    const { interface: podInterface } = await attach(started, "net-a");
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: started.url }));
    const failure = new PodplugError("PLUGIN_FAILED", "it failed", { plugin: "bridge", cniCode: 11 });
    for await (const event of client.watchInterfaces({})) {
      if (event.kind === 2) started.node.emitFailure(podInterface, failure);
      if (event.kind !== 5) continue;
      expect(event.failure).toMatchObject({ reason: "PLUGIN_FAILED", plugin: "bridge", cniCode: 11 });
      expect(event.interface?.state).toBe(4);
      break;
    }
  });

  test("of a pod that doesn't exist gets the reason", async () => {
    const { url } = await startTestServer();
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    const target = { target: { case: "netns", value: "/run/netns/none" } } as const;
    const events = Array.fromAsync(client.watchInterfaces({ target }));
    await expect(events.catch((error) => Promise.reject(podplugErrorOf(error)))).rejects.toMatchObject({
      reason: "TARGET_NOT_FOUND",
    });
  });

  test("whose connection breaks is forgotten", async () => {
    const { node, port } = await startTestServer();
    const { socket, received } = openRaw(port);
    const envelope = Buffer.from([0, 0, 0, 0, 2, ...Buffer.from("{}")]);
    socket.write(
      `POST ${methodPath("WatchInterfaces")} HTTP/1.1\r\nhost: localhost\r\n` +
        `content-type: application/connect+json\r\ncontent-length: ${envelope.length}\r\n\r\n`,
    );
    socket.write(envelope);
    await eventually(() => received().includes("KIND_SYNCED"), "the watcher sees that it is synced");
    expect(node.watching).toBe(1);
    socket.resetAndDestroy();
    await eventually(() => node.watching === 0, "the watch ends");
  });
});

describe("a call", () => {
  test("that its caller gives up aborts the signal that the node got", async () => {
    const { node, url } = await startTestServer();
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    node.pause();
    const controller = new AbortController();
    const call = client.getNodeInfo({}, { signal: controller.signal }).catch(podplugErrorOf);
    await eventually(() => node.waiting === 1, "the call reaches the node");
    controller.abort();
    expect(await call).toMatchObject({ reason: "CANCELED" });
    await eventually(() => node.waiting === 0, "the node's call ends");
  });

  test("whose HTTP/1.1 connection breaks aborts the signal that the node got", async () => {
    const { node, port } = await startTestServer();
    node.pause();
    const { socket } = openRaw(port);
    const head = "host: localhost\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    socket.write(`POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\n${head}`);
    await eventually(() => node.waiting === 1, "the call reaches the node");
    socket.destroy();
    await eventually(() => node.waiting === 0, "the node's call ends");
  });

  test("whose deadline passes says so, with a detail", async () => {
    const { node, url } = await startTestServer();
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    node.pause();
    await expect(client.getNodeInfo({}, { timeoutMs: 50 }).catch(podplugErrorOf)).resolves.toMatchObject({
      reason: "DEADLINE_EXCEEDED",
    });
    await eventually(() => node.waiting === 0, "the node's call ends");
  });

  test("without a deadline ends by the server's own, with a detail", async () => {
    const { node, url } = await startTestServer({ maxDeadlineMs: 50 });
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    node.pause();
    await expect(client.getNodeInfo({}).catch(podplugErrorOf)).resolves.toMatchObject({
      reason: "DEADLINE_EXCEEDED",
      message: "no answer within 0.05 seconds, the longest that a call may take",
    });
  });
});
