import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { createNodeClient } from "../../src/client/node-client.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { createTokenCredential } from "../../src/server/auth/bearer-token.ts";
import { podplugErrorOf } from "../../src/wire/errors.ts";
import { createFakeReviewer } from "../fakes/fake-reviewer.ts";
import { failure } from "../support/failure.ts";
import { createMemoryGauge } from "../support/memory.ts";
import { eventually } from "./eventually.ts";
import { frame, frameType, openHttp2, requestHeaders } from "./http2-client.ts";
import { methodPath, openRaw, type Started, startTestServer } from "./started-server.ts";
import { authority, clients, startTlsServer, type TlsStarted } from "./tls-server.ts";

const operator = clients.issue("operator");

/** GetNodeInfo by a connection of its own from an address of loopback. */
async function askFrom(localAddress: string, { port }: TlsStarted): Promise<string> {
  const request = httpsRequest({
    ca: authority.cert,
    cert: operator.cert,
    key: operator.key,
    host: "127.0.0.1",
    port,
    localAddress,
    agent: false,
    method: "POST",
    path: methodPath("GetNodeInfo"),
    headers: { "content-type": "application/json" },
  });
  request.end("{}");
  const [response] = (await once(request, "response")) as [NodeJS.ReadableStream];
  return await text(response);
}

async function stillServes({ url }: Started): Promise<void> {
  const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
  expect((await client.getNodeInfo({})).nodeName).toBe("fake-node");
}

/** Writes as long as the connection takes it, and says how much that was. */
async function writeOn(socket: Socket, chunk: Buffer, maxBytes: number): Promise<number> {
  let written = 0;
  const closed = Promise.withResolvers<boolean>();
  socket.once("close", () => closed.resolve(true));
  while (written < maxBytes && !socket.destroyed) {
    if (!socket.write(chunk)) {
      const drained = Promise.withResolvers<boolean>();
      socket.once("drain", () => drained.resolve(false));
      if (await Promise.race([closed.promise, drained.promise])) break;
    }
    written += chunk.length;
  }
  return written;
}

describe("a flood", () => {
  test("of connections from one address leaves room for the others", async () => {
    const limits = { connections: 12, connectionsPerAddress: 4, sniffTimeoutMs: 60_000 };
    const started = await startTlsServer({ limits });
    const flood = Array.from({ length: 40 }, () => openRaw(started.port));
    await eventually(() => flood.filter((raw) => raw.isClosed()).length === 36, "all but four are cut");
    expect(await askFrom("127.0.0.2", started)).toContain("fake-node");
    await expect(askFrom("127.0.0.1", started)).rejects.toThrow();
    for (const { socket } of flood) socket.destroy();
    await eventually(
      () =>
        askFrom("127.0.0.1", started).then(
          (answer) => answer.includes("fake-node"),
          () => false,
        ),
      "its address is served again",
    );
  });

  test("of handshakes that don't go on ends with their time, and others are served meanwhile", async () => {
    const started = await startTlsServer({ limits: { sniffTimeoutMs: 2_000 } });
    const slow = Array.from({ length: 50 }, () => openRaw(started.port));
    for (const { socket } of slow) socket.write(Buffer.from("16030100f8010000f40303", "hex"));
    expect(await askFrom("127.0.0.2", started)).toContain("fake-node");
    await eventually(() => slow.every((raw) => raw.isClosed()), "all are cut");
  });

  test("of slow requests on TLS ends with their time", async () => {
    const started = await startTlsServer({ limits: { headersTimeoutMs: 200, requestTimeoutMs: 400 } });
    const socket = connectTls({ port: started.port, host: "127.0.0.1", ca: authority.cert });
    onTestFinished(() => void socket.destroy());
    socket.write("POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    expect(await text(socket)).toContain("408");
  });

  test("of unknown callers from one address waits for nobody else's credentials", async () => {
    const reviewer = createFakeReviewer();
    const known = reviewer.issue({ name: "operator", groups: [], extra: {} }, ["podplug"]);
    const held = Promise.withResolvers<never>();
    const whoIs = reviewer.whoIs.bind(reviewer);
    let asked = 0;
    reviewer.whoIs = async (token, ...rest) => {
      if (token === known) return await whoIs(token, ...rest);
      asked += 1;
      return await held.promise;
    };
    const credential = createTokenCredential({ reviewer, audiences: ["podplug"], clock: systemClock });
    const started = await startTlsServer({ credentials: [credential], limits: { inFlightPerCaller: 5 } });
    const callers = await Promise.all(
      Array.from({ length: 20 }, (_none, index) =>
        started.clientOf(undefined, { token: `made-up-${index}` }),
      ),
    );
    const answers = callers.map((client) => client.info(signal).catch((error: unknown) => error));
    await eventually(() => asked === 5, "five wait for the reviews");
    expect(await askFrom("127.0.0.2", started)).toContain("fake-node");
    await started.server.close(0);
    const refused = failure("RESOURCE_EXHAUSTED", "address 127.0.0.1 has 5");
    const exhausted = (await Promise.all(answers)).filter(
      (answer) => podplugErrorOf(answer).reason === "RESOURCE_EXHAUSTED",
    );
    expect(exhausted).toEqual(Array.from({ length: 15 }, () => refused));
  });

  test("of calls from everybody leaves the controller its own", async () => {
    const key = "a".repeat(64);
    const { node, url, socketPath, directory } = await startTestServer({ inFlight: 3 }, key);
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    await writeFile(join(directory, "key"), key);
    await using controller = createNodeClient({
      server: `unix://${socketPath}`,
      controllerKeyFile: join(directory, "key"),
    });
    node.pause();
    const waiting = [client.getNodeInfo({}), client.getNodeInfo({}), client.getNodeInfo({})];
    await eventually(() => node.waiting === 3, "the calls wait");
    expect(await client.getNodeInfo({}).catch(podplugErrorOf)).toEqual(failure("RESOURCE_EXHAUSTED"));
    const controlled = controller.info(signal);
    await eventually(() => node.waiting === 4, "the controller's call waits with them");
    node.resume();
    expect((await controlled).nodeName).toBe("fake-node");
    await Promise.all(waiting);
  });

  test("of streams that are reset at once cuts the connection", async () => {
    const started = await startTestServer({ streamResetBurst: 50, streamResetsPerSecond: 10 });
    const grown = await createMemoryGauge();
    const raw = openHttp2(started.port);
    const cancel = Buffer.from([0, 0, 0, 8]);
    for (let stream = 1; stream < 40_000 && !raw.isClosed(); stream += 2) {
      raw.socket.write(requestHeaders(methodPath("WatchInterfaces"), "application/grpc", stream));
      raw.socket.write(frame(frameType.reset, 0, stream, cancel));
      if (stream % 200 === 1) await new Promise(setImmediate);
    }
    await eventually(raw.isClosed, "the connection is cut");
    expect(started.node.watching).toBe(0);
    expect(await grown()).toBeLessThan(60);
    await stillServes(started);
  });

  test("of headers that never end cuts the connection", async () => {
    const started = await startTestServer();
    const grown = await createMemoryGauge();
    const raw = openHttp2(started.port);
    const headers = requestHeaders(methodPath("GetNodeInfo"), "application/grpc");
    // Without END_HEADERS, so that more of them are to come.
    headers.writeUInt8(0, 4);
    raw.socket.write(headers);
    // A literal field (RFC 7541, section 6.2.2) whose value has 255 bytes.
    const field = Buffer.concat([
      Buffer.from([0, 4]),
      Buffer.from("x-ab"),
      Buffer.from([0x7f, 0x80, 0x01]),
      Buffer.alloc(255, "y"),
    ]);
    const more = frame(frameType.continuation, 0, 1, field);
    const sent = await writeOn(raw.socket, more, 64 * 2 ** 20);
    expect(sent).toBeLessThan(64 * 2 ** 20);
    await eventually(raw.isClosed, "the connection is cut");
    expect(await grown()).toBeLessThan(60);
    await stillServes(started);
  });

  test.each([
    ["one message that never ends", "application/json"],
    ["a gRPC-Web message that never ends", "application/grpc-web+proto"],
  ])("of a body, %s, is cut and not kept", async (_what, type) => {
    const started = await startTestServer({ requestTimeoutMs: 2000, headersTimeoutMs: 2000 });
    const grown = await createMemoryGauge();
    const raw = openRaw(started.port);
    raw.socket.write(
      `POST ${methodPath("AttachNetwork")} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ${type}\r\n` +
        "transfer-encoding: chunked\r\n\r\n",
    );
    const chunk = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(0x10000, "["), Buffer.from("\r\n")]);
    await writeOn(raw.socket, chunk, 4 * 2 ** 30);
    await eventually(raw.isClosed, "the connection is cut");
    expect(await grown()).toBeLessThan(80);
    await stillServes(started);
  });
});
