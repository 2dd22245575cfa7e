import { connect as connectHttp2 } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { eventually } from "./eventually.ts";
import { frame, frameType, openHttp2, preface, requestHeaders } from "./http2-client.ts";
import { methodPath, openRaw, type Started, startTestServer } from "./started-server.ts";

const infoHead = `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n`;
const infoRequest = `${infoHead}content-length: 2\r\n\r\n{}`;
/** One empty message of a gRPC stream. */
const emptyMessage = Buffer.alloc(5);

async function isCut(connection: { isClosed: () => boolean }): Promise<void> {
  await eventually(connection.isClosed, "the connection is cut");
}

async function stillServes({ url }: Started): Promise<void> {
  const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
  expect((await client.getNodeInfo({})).nodeName).toBe("fake-node");
}

/** One byte after the other, as slowly as a socket can carry them. */
async function dribble(
  socket: { write(bytes: Buffer, done: () => void): unknown },
  bytes: Buffer,
): Promise<void> {
  for (const byte of bytes) {
    const { promise, resolve } = Promise.withResolvers<void>();
    socket.write(Buffer.from([byte]), resolve);
    await promise;
    await new Promise(setImmediate);
  }
}

describe("a slow client is served", () => {
  test("when it sends an HTTP/1.1 request byte by byte", async () => {
    const { port } = await startTestServer();
    const raw = openRaw(port);
    raw.socket.setNoDelay(true);
    await dribble(raw.socket, Buffer.from(infoRequest));
    await eventually(() => raw.received().includes("fake-node"), "the answer comes");
  });

  test("when it sends HTTP/2's preface and request byte by byte", async () => {
    const { port } = await startTestServer();
    const raw = openRaw(port);
    raw.socket.setNoDelay(true);
    await dribble(raw.socket, preface);
    await dribble(raw.socket, requestHeaders(methodPath("GetNodeInfo"), "application/grpc"));
    await dribble(raw.socket, frame(frameType.data, 0x1, 1, emptyMessage));
    await eventually(() => raw.received().includes("fake-node"), "the answer comes");
  });

  test("when it sends several requests at once on one HTTP/1.1 connection", async () => {
    const { port } = await startTestServer();
    const raw = openRaw(port);
    raw.socket.write(infoRequest.repeat(3));
    await eventually(() => raw.received().split("fake-node").length === 4, "all answers come");
  });
});

describe("a connection is cut", () => {
  test("when it says nothing", async () => {
    const started = await startTestServer({ sniffTimeoutMs: 1_000 });
    await isCut(openRaw(started.port));
    await stillServes(started);
  });

  test("when it says only the beginning of HTTP/2's preface", async () => {
    const { port } = await startTestServer({ sniffTimeoutMs: 50 });
    const raw = openRaw(port);
    raw.socket.write("PRI * HTTP/2.0\r\n\r\nSM");
    await isCut(raw);
  });

  test("when its HTTP/1.1 headers don't come to an end", async () => {
    const { port } = await startTestServer({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const raw = openRaw(port);
    raw.socket.write("POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    await isCut(raw);
    expect(raw.received()).toContain("408");
  });

  test("when its HTTP/1.1 body doesn't come to an end", async () => {
    const { port, node } = await startTestServer({ headersTimeoutMs: 100, requestTimeoutMs: 200 });
    const raw = openRaw(port);
    raw.socket.write(`${infoHead}content-length: 200\r\n\r\n{`);
    await isCut(raw);
    expect(node.waiting).toBe(0);
  });

  test("when it idles after an HTTP/1.1 request", async () => {
    const { port } = await startTestServer({ idleTimeoutMs: 100 });
    const raw = openRaw(port);
    raw.socket.write(infoRequest);
    await eventually(() => raw.received().includes("fake-node"), "the answer comes");
    await isCut(raw);
  });

  test("when it opens no stream after HTTP/2's preface", async () => {
    const { port } = await startTestServer({ idleTimeoutMs: 100 });
    await isCut(openHttp2(port));
  });

  test("when it idles after an HTTP/2 request", async () => {
    const { url } = await startTestServer({ idleTimeoutMs: 2_000 });
    const sessionManager = new Http2SessionManager(url);
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url, sessionManager }));
    await client.getNodeInfo({});
    expect(sessionManager.state()).not.toBe("closed");
    await eventually(() => sessionManager.state() === "closed", "the session ends");
  });

  test("when a peer with an open HTTP/2 stream no longer answers pings", async () => {
    const { port, node } = await startTestServer({ pingIntervalMs: 500, pingTimeoutMs: 500 });
    const raw = openHttp2(port);
    raw.socket.write(requestHeaders(methodPath("WatchInterfaces"), "application/grpc"));
    raw.socket.write(frame(frameType.data, 0x1, 1, emptyMessage));
    await eventually(() => node.watching === 1, "the watch begins");
    await isCut(raw);
    await eventually(() => node.watching === 0, "the watch ends");
  });

  test("when there are too many, and taken when others have gone", async () => {
    const { port, logged } = await startTestServer({ connections: 2 });
    const first = [openRaw(port), openRaw(port)];
    for (const { socket } of first) socket.write(infoRequest);
    await eventually(
      () => first.every(({ received }) => received().includes("fake-node")),
      "both are served",
    );
    await isCut(openRaw(port));
    for (const { socket } of first) socket.destroy();
    await eventually(async () => {
      const raw = openRaw(port);
      raw.socket.write(infoRequest);
      await eventually(() => raw.isClosed() || raw.received().includes("fake-node"), "it is served or cut");
      return raw.received().includes("fake-node");
    }, "a connection is taken again");
    expect(logged).toEqual([]);
  });

  test("when its headers are too large", async () => {
    const started = await startTestServer({ headerBytes: 2000 });
    const raw = openRaw(started.port);
    raw.socket.write(`${infoHead}x-large: ${"x".repeat(4000)}\r\ncontent-length: 2\r\n\r\n{}`);
    await isCut(raw);
    expect(raw.received()).toContain("431");
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: started.url }));
    await client.getNodeInfo({});
    const call = client.getNodeInfo({}, { headers: { "x-large": "x".repeat(4000) } });
    await expect(call).rejects.toThrow(/ENHANCE_YOUR_CALM/);
    await stillServes(started);
  });
});

describe("a stream is cut", () => {
  test("when its request's body doesn't come to an end, and its connection stays", async () => {
    const { url, node } = await startTestServer({ requestTimeoutMs: 1_000, headersTimeoutMs: 1_000 });
    const session = connectHttp2(url);
    onTestFinished(() => session.destroy());
    const open = (body: Buffer, end: boolean) => {
      const stream = session.request({
        ":method": "POST",
        ":path": methodPath("GetNodeInfo"),
        "content-type": "application/grpc",
        te: "trailers",
      });
      let closed = false;
      stream.on("error", () => {});
      stream.resume().once("close", () => {
        closed = true;
      });
      if (end) stream.end(body);
      else stream.write(body);
      return { stream, isClosed: () => closed };
    };
    const slow = open(emptyMessage.subarray(0, 2), false);
    await isCut(slow);
    expect(node.callers).toEqual([]);
    const whole = open(emptyMessage, true);
    await isCut(whole);
    expect(whole.stream.rstCode).toBe(0);
    expect(session.destroyed).toBe(false);
  });

  test("when nobody reads what it sends", async () => {
    const started = await startTestServer({ stallTimeoutMs: 200 });
    const raw = openRaw(started.port);
    raw.socket.pause();
    const envelope = Buffer.from([0, 0, 0, 0, 2, ...Buffer.from("{}")]);
    raw.socket.write(
      `POST ${methodPath("WatchInterfaces")} HTTP/1.1\r\nhost: localhost\r\n` +
        `content-type: application/connect+json\r\ncontent-length: ${envelope.length}\r\n\r\n`,
    );
    raw.socket.write(envelope);
    await eventually(() => started.node.watching === 1, "the watch begins");
    await flood(started);
    await eventually(() => started.node.watching === 0, "the watch ends");
  });

  test("when its HTTP/2 client takes the connection's data but not the stream's", async () => {
    const started = await startTestServer({ stallTimeoutMs: 200 });
    const raw = openHttp2(started.port);
    raw.socket.write(requestHeaders(methodPath("WatchInterfaces"), "application/grpc"));
    raw.socket.write(frame(frameType.data, 0x1, 1, emptyMessage));
    await eventually(() => started.node.watching === 1, "the watch begins");
    await flood(started);
    await eventually(() => started.node.watching === 0, "the watch ends");
    expect(raw.isClosed()).toBe(false);
  });

  async function flood({ node }: Started): Promise<void> {
    const api = node.apiFor({ name: "operator", reconciler: false });
    const target = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
    const request = { target, network: { name: "net-a", cniArgs: { fat: "x".repeat(100_000) } } };
    const { interface: podInterface } = await api.attach(request, neverAborted);
    for (let count = 0; count < 100; count += 1) node.emitChange(podInterface);
  }
});

const impatient = {
  headersTimeoutMs: 500,
  requestTimeoutMs: 500,
  idleTimeoutMs: 500,
  stallTimeoutMs: 500,
};

describe("a session", () => {
  test("with an open stream stays as long as its peer answers pings", async () => {
    const { url, node } = await startTestServer({
      ...impatient,
      pingIntervalMs: 50,
      pingTimeoutMs: 60_000,
    });
    const session = connectHttp2(url);
    onTestFinished(() => session.destroy());
    let pings = 0;
    session.on("ping", () => {
      pings += 1;
    });
    const stream = session.request({
      ":method": "POST",
      ":path": methodPath("WatchInterfaces"),
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.resume().end(emptyMessage);
    await eventually(() => pings >= 30, "pings come for longer than it may idle");
    expect(node.watching).toBe(1);
    expect(session.closed).toBe(false);
  });

  test("of HTTP/1.1 with an open stream stays, too", async () => {
    const { port, node } = await startTestServer(impatient);
    const raw = openRaw(port);
    const envelope = Buffer.from([0, 0, 0, 0, 2, ...Buffer.from("{}")]);
    raw.socket.write(
      `POST ${methodPath("WatchInterfaces")} HTTP/1.1\r\nhost: localhost\r\n` +
        `content-type: application/connect+json\r\ncontent-length: ${envelope.length}\r\n\r\n`,
    );
    raw.socket.write(envelope);
    await eventually(() => raw.received().includes("KIND_SYNCED"), "the watch begins");
    const other = openRaw(port);
    other.socket.write("POST / HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    await isCut(other);
    expect(raw.isClosed()).toBe(false);
    expect(node.watching).toBe(1);
  });

  test("has no more streams than allowed", async () => {
    const { port, node } = await startTestServer({ streamsPerConnection: 3 });
    const raw = openHttp2(port);
    for (const stream of [1, 3, 5, 7]) {
      raw.socket.write(requestHeaders(methodPath("WatchInterfaces"), "application/grpc", stream));
      raw.socket.write(frame(frameType.data, 0x1, stream, emptyMessage));
    }
    // REFUSED_STREAM (RFC 9113, section 7).
    const refusal = frame(frameType.reset, 0, 7, Buffer.from([0, 0, 0, 7])).toString("latin1");
    await eventually(() => raw.received().includes(refusal), "the fourth stream is refused");
    await eventually(() => node.watching === 3, "the others are served");
  });
});
