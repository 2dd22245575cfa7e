import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { eventually } from "./eventually.ts";
import { frame, preface, requestHeaders } from "./http2-client.ts";
import { methodPath, openRaw, type Started, startTestServer } from "./started-server.ts";

/** Whatever nobody caught, in this process, where the server runs. */
function watchForFaults(): unknown[] {
  const faults: unknown[] = [];
  const note = (fault: unknown): void => void faults.push(fault);
  process.on("unhandledRejection", note).on("uncaughtException", note);
  onTestFinished(() => {
    process.off("unhandledRejection", note).off("uncaughtException", note);
  });
  return faults;
}

async function send({ port }: Started, bytes: Uint8Array): Promise<void> {
  const raw = openRaw(port);
  raw.socket.end(bytes);
  await eventually(raw.isClosed, "the connection ends");
  raw.socket.destroy();
}

async function stillServes({ url, logged }: Started): Promise<void> {
  const isAnswered = async (): Promise<boolean> => {
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    return await client.getNodeInfo({}).then(
      ({ nodeName }) => nodeName === "fake-node",
      () => false,
    );
  };
  await eventually(isAnswered, "it serves");
  expect(logged).toEqual([]);
}

/** A client that is busy otherwise may be too slow for it, too. */
const quick = { sniffTimeoutMs: 100, headersTimeoutMs: 100, requestTimeoutMs: 200, idleTimeoutMs: 100 };

describe("the server stays up", () => {
  test.each([
    ["a TLS handshake", Buffer.from("16030100f8010000f40303", "hex")],
    ["an old TLS one", Buffer.from([0x80, 0x2e, 1, 3, 1])],
    ["zeros", Buffer.alloc(100_000)],
    ["a preface that isn't one", Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r")],
    ["HTTP/1.0 without a host", Buffer.from(`POST ${methodPath("GetNodeInfo")} HTTP/1.0\r\n\r\n`)],
    [
      "HTTP/1.1 with a host that is none",
      Buffer.from(`POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: [\r\n\r\n`),
    ],
    ["a CONNECT", Buffer.from("CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: localhost\r\n\r\n")],
    [
      "an upgrade",
      Buffer.from("GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
    ],
    ["an absolute address", Buffer.from("GET http://[/ HTTP/1.1\r\nhost: localhost\r\n\r\n")],
    ["an expectation", Buffer.from("POST / HTTP/1.1\r\nhost: localhost\r\nexpect: the-moon\r\n\r\n")],
    [
      "a chunk too large",
      Buffer.from(
        "POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
      ),
    ],
    ["a frame too large", Buffer.concat([preface, frame(0, 0, 1, Buffer.alloc(100_000))])],
    ["a frame for a stream that isn't there", Buffer.concat([preface, frame(0, 1, 9, Buffer.alloc(10))])],
    ["headers that don't go on", Buffer.concat([preface, frame(1, 0, 1, Buffer.from([0x82]))])],
    [
      "a request whose stream is reset at once",
      Buffer.concat([
        preface,
        requestHeaders(methodPath("WatchInterfaces"), "application/grpc"),
        frame(3, 0, 1, Buffer.from([0, 0, 0, 8])),
      ]),
    ],
  ])("after %s", async (_name, bytes) => {
    const faults = watchForFaults();
    const started = await startTestServer(quick);
    await send(started, bytes);
    await stillServes(started);
    expect(faults).toEqual([]);
  });

  test("after random bytes, as they are and as HTTP/2 frames", async () => {
    const faults = watchForFaults();
    const started = await startTestServer(quick);
    const noise = fc.uint8Array({ minLength: 1, maxLength: 300 });
    const framed = fc
      .array(
        fc.record({
          type: fc.integer({ min: 0, max: 12 }),
          flags: fc.integer({ min: 0, max: 255 }),
          stream: fc.constantFrom(0, 1, 3, 2, 2 ** 31 - 1),
          payload: fc.uint8Array({ maxLength: 40 }),
        }),
        { maxLength: 8 },
      )
      .map((frames) =>
        Buffer.concat([
          preface,
          ...frames.map(({ type, flags, stream, payload }) =>
            frame(type, flags, stream, Buffer.from(payload)),
          ),
        ]),
      );
    const message = fc
      .tuple(
        fc.constantFrom(
          "application/grpc",
          "application/grpc-web",
          "application/proto",
          "application/connect+proto",
        ),
        noise,
      )
      .map(([type, body]) =>
        Buffer.concat([
          Buffer.from(
            `POST ${methodPath("AttachNetwork")} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`,
          ),
          body,
        ]),
      );
    await fc.assert(
      fc.asyncProperty(fc.oneof(noise, framed, message), (bytes) => send(started, bytes)),
      { numRuns: 150 },
    );
    expect(faults).toEqual([]);
    // A message of random bytes that can't be decoded is the protocol library's to answer.
    await stillServes(started);
  });

  test("after mutated JSON, and answers each with an error of the caller's", async () => {
    const faults = watchForFaults();
    const started = await startTestServer();
    const valid = JSON.stringify({
      target: { pod: { namespace: "demo", name: "web", uid: "u" } },
      network: {
        name: "net-a",
        interface: "net1",
        ips: ["192.0.2.1/24"],
        bandwidth: { ingressRate: "1000" },
        portMappings: [{ hostPort: 1, containerPort: 2 }],
        cniArgs: { a: [1, { b: null }] },
        source: "NETWORK_SOURCE_DIRECTORY",
      },
      owner: "me",
      validateOnly: true,
    });
    const mutation = fc.tuple(
      fc.nat(valid.length),
      fc.nat(8),
      fc.oneof(
        fc.constantFrom(
          "",
          "{",
          "}",
          "[",
          "]",
          '"',
          "null",
          "-1",
          "1e999",
          '"__proto__":{},',
          "\\ud800",
          "\0",
          "true",
        ),
        fc.string({ unit: "binary", maxLength: 5 }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
        const body = mutations.reduce(
          (text, [at, drop, insert]) => text.slice(0, at) + insert + text.slice(at + drop),
          valid,
        );
        const response = await fetch(started.url + methodPath("AttachNetwork"), {
          method: "POST",
          headers: { "content-type": "application/json" },
          body,
        });
        await response.arrayBuffer();
        expect(response.status).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
    await stillServes(started);
    expect(faults).toEqual([]);
  });

  test("after a watch whose request is no message, which is its caller's fault and not logged as the server's", async () => {
    const { url, logged } = await startTestServer();
    const watch = await fetch(url + methodPath("WatchInterfaces"), {
      method: "POST",
      headers: { "content-type": "application/connect+proto" },
      body: Buffer.from([0, 0, 0, 0, 1, 0x05]),
    });
    expect(await watch.text()).toContain('"code":"invalid_argument"');
    expect(logged).toEqual([]);
  });

  test.each([1_000, 100_000])("after JSON nested %d levels deep", async (levels) => {
    const faults = watchForFaults();
    const started = await startTestServer();
    const nested = '{"a":'.repeat(levels) + "1" + "}".repeat(levels);
    for (const body of [nested, `{"target":{"netns":"/a"},"network":{"name":"net-a","cniArgs":${nested}}}`]) {
      const response = await fetch(started.url + methodPath("AttachNetwork"), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
      });
      expect(response.status).toBe(400);
      await response.arrayBuffer();
    }
    await stillServes(started);
    expect(faults).toEqual([]);
  });
});
