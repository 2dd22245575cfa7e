import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { text } from "node:stream/consumers";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { startServer } from "../../src/server/server.ts";
import { podplugErrorOf } from "../../src/wire/errors.ts";
import { failure } from "../support/failure.ts";
import { eventually } from "./eventually.ts";
import { createKeptLog, methodPath, openRaw } from "./started-server.ts";
import { authority, clients, everything, startTlsServer, stranger, type TlsStarted } from "./tls-server.ts";

const orchestrator = clients.issue("vnf-orchestrator", [], { organizations: ["operators", "people"] });
const byOrchestrator = { ca: authority.cert, cert: orchestrator.cert, key: orchestrator.key };

/** A connection that is through with its handshake, or what hindered it. */
async function shake({ port }: TlsStarted, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ host: "127.0.0.1", port, ca: authority.cert, ...options });
  onTestFinished(() => void socket.destroy());
  await once(socket, "secureConnect");
  socket.on("error", () => {});
  return socket;
}

describe("the TLS port", () => {
  test.each([
    [
      "Connect over HTTP/1.1",
      (url: string) =>
        createConnectTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions: byOrchestrator }),
    ],
    [
      "Connect over HTTP/2",
      (url: string) =>
        createConnectTransport({ baseUrl: url, httpVersion: "2", nodeOptions: byOrchestrator }),
    ],
    ["gRPC", (url: string) => createGrpcTransport({ baseUrl: url, nodeOptions: byOrchestrator })],
    [
      "gRPC-Web over HTTP/1.1",
      (url: string) =>
        createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1", nodeOptions: byOrchestrator }),
    ],
  ])("serves %s", async (_name, transport) => {
    const { url, node } = await startTlsServer();
    const client = createClient(NodeService, transport(url));
    expect((await client.getNodeInfo({})).nodeName).toBe("fake-node");
    expect(node.callers).toEqual([{ name: "vnf-orchestrator", reconciler: false, root: undefined }]);
  });

  test("serves a client that knows nothing of ALPN by HTTP/1.1", async () => {
    const started = await startTlsServer();
    const socket = await shake(started, byOrchestrator);
    expect(socket.alpnProtocol).toBe(false);
    socket.write(
      `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: node-1\r\nconnection: close\r\n` +
        "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    );
    expect(await text(socket)).toContain("fake-node");
  });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("speaks %s", async (version) => {
    const socket = await shake(await startTlsServer(), { minVersion: version, maxVersion: version });
    expect(socket.getProtocol()).toBe(version);
  });

  test("speaks nothing older", async () => {
    const started = await startTlsServer();
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" } as const;
    await expect(shake(started, old)).rejects.toThrow(/protocol version|alert/i);
  });

  test("resumes no session, so that every connection's certificate is verified", async () => {
    const started = await startTlsServer();
    const first = await shake(started, { ...byOrchestrator, maxVersion: "TLSv1.2" });
    const session = first.getSession();
    const second = await shake(started, { ...byOrchestrator, maxVersion: "TLSv1.2", session });
    expect(second.isSessionReused()).toBe(false);
  });

  test("ends a connection without TLS, and one whose handshake doesn't go on", async () => {
    const { port, url } = await startTlsServer({ limits: { sniffTimeoutMs: 100 } });
    const plain = openRaw(port);
    plain.socket.write(`GET / HTTP/1.1\r\nhost: ${url}\r\n\r\n`);
    const silent = openRaw(port);
    await eventually(() => plain.isClosed() && silent.isClosed(), "both are cut");
    expect(plain.received()).not.toContain("HTTP");
  });

  test("lets no web page use its visitor's certificate", async () => {
    const { port, node, audited } = await startTlsServer();
    const headers = { origin: "https://evil.example", "content-type": "application/json" };
    const request = httpsRequest({
      ...byOrchestrator,
      host: "127.0.0.1",
      port,
      method: "POST",
      path: methodPath("GetNodeInfo"),
      headers,
      agent: false,
    });
    request.end("{}");
    const [response] = (await once(request, "response")) as [{ statusCode: number; resume(): void }];
    response.resume();
    expect(response.statusCode).toBe(403);
    expect(node.callers).toEqual([]);
    expect(audited.map(({ facts }) => facts)).toMatchObject([
      { method: "GetNodeInfo", outcome: "DENIED", message: "web pages may not call here" },
    ]);
  });

  test("closes with calls finished and connections in their handshake ended", async () => {
    const started = await startTlsServer({ limits: { sniffTimeoutMs: 60_000 } });
    const client = await started.clientOf(orchestrator);
    const silent = openRaw(started.port);
    started.node.pause();
    const call = client.info(neverAborted);
    await eventually(() => started.node.waiting === 1, "the call waits");
    const closed = started.server.close(60_000);
    await eventually(silent.isClosed, "the handshake is cut");
    started.node.resume();
    expect((await call).nodeName).toBe("fake-node");
    await closed;
  });
});

describe("a client certificate", () => {
  test("that isn't shown leaves its caller unknown, to every service", async () => {
    const { url, node } = await startTlsServer();
    const transport = createGrpcTransport({ baseUrl: url, nodeOptions: { ca: authority.cert } });
    const unknown = failure("UNAUTHENTICATED", "shows no credentials");
    expect(await createClient(NodeService, transport).getNodeInfo({}).catch(podplugErrorOf)).toEqual(unknown);
    expect(await createClient(Health, transport).check({}).catch(podplugErrorOf)).toEqual(unknown);
    const reflection = createClient(ServerReflection, transport);
    const asked = Array.fromAsync(reflection.serverReflectionInfo(questions()));
    expect(await asked.catch(podplugErrorOf)).toEqual(unknown);
    expect(node.callers).toEqual([]);
  });

  test.each([
    ["of another authority", stranger.issue("vnf-orchestrator"), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["of the server's own authority", authority.issue("node-1"), "SELF_SIGNED_CERT_IN_CHAIN"],
    [
      "that has expired",
      clients.issue("late", [], { notAfter: new Date(Date.now() - 1000) }),
      "CERT_HAS_EXPIRED",
    ],
    ["without a common name", clients.issue("", [], { organizations: ["operators"] }), "no common name"],
    ["of the controller's name", clients.issue("controller"), "one of podplug's own"],
    ["of the socket's name", clients.issue("unix-socket"), "one of podplug's own"],
    ["of a reconciler's owner", clients.issue("annotation/npwg"), "one of podplug's own"],
  ])("%s is refused", async (_what, certificate, why) => {
    const { clientOf, node } = await startTlsServer();
    const client = await clientOf(certificate);
    await expect(client.info(neverAborted)).rejects.toEqual(failure("UNAUTHENTICATED", why));
    expect(node.callers).toEqual([]);
  });

  test("names its user and groups, which the authorizer is asked about", async () => {
    const asked: unknown[] = [];
    const { clientOf } = await startTlsServer({
      authorizer: async (identity, access) => {
        asked.push([identity, access]);
        return { allowed: true };
      },
    });
    const client = await clientOf(orchestrator);
    const target = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
    await client.check({ target, interface: "net1" }, neverAborted).catch(() => undefined);
    const identity = { name: "vnf-orchestrator", groups: ["operators", "people"], by: "client-certificate" };
    expect(asked).toEqual([
      [
        expect.objectContaining(identity),
        { verb: "get", resource: "podnetworks", namespace: "demo", name: "web" },
      ],
    ]);
  });
});

describe("TLS files that change", () => {
  async function servedSubject(started: TlsStarted): Promise<string> {
    const socket = await shake(started, { ca: [authority.cert, stranger.cert] });
    const subject = String(socket.getPeerCertificate().subject.CN);
    // It may be looked at often, and an address has so many connections and no more.
    socket.destroy();
    return subject;
  }
  const renewed = authority.issue("node-1-renewed", ["127.0.0.1"]);

  test("are used for new connections, and a watch on an old one goes on", async () => {
    const started = await startTlsServer();
    const client = await started.clientOf(orchestrator);
    const events = client.watch({}, neverAborted)[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({ value: { kind: "synced" } });
    await started.keys.swap(renewed, clients.cert);
    await eventually(
      async () => (await servedSubject(started)) === "node-1-renewed",
      "the new one is served",
    );
    const target = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
    await client.attach({ target, network: { name: "net-a" } }, neverAborted);
    expect(await events.next()).toMatchObject({ value: { kind: "attached" } });
    expect(started.logged.map(([level, message]) => [level, message])).toEqual([
      ["info", "TLS files changed and are in use"],
    ]);
  });

  test("into something broken leave the old ones in use, and are told once", async () => {
    const started = await startTlsServer();
    const { files, swap } = started.keys;
    const faults = () => started.logged.filter(([level]) => level === "error");
    await writeFile(files.certFile, "");
    await eventually(() => faults().length === 1, "the fault is told");
    expect(await servedSubject(started)).toBe("node-1");
    await swap({ cert: renewed.cert, key: await readFile(files.keyFile, "utf8") }, clients.cert);
    await eventually(() => faults().length === 2, "the keys that don't match are told");
    await swap(renewed, "");
    await eventually(() => faults().length === 3, "the missing authorities are told");
    expect(faults().map(([, , facts]) => (facts as { fault: string }).fault)).toEqual([
      expect.stringContaining("is empty"),
      expect.stringContaining("can't be used"),
      expect.stringContaining("is empty"),
    ]);
    expect(await servedSubject(started)).toBe("node-1");
    await swap(renewed, clients.cert);
    await eventually(
      async () => (await servedSubject(started)) === "node-1-renewed",
      "the new one is served",
    );
    expect(faults()).toHaveLength(3);
  });

  test("into an expired certificate are used all the same, and that is told once", async () => {
    const started = await startTlsServer();
    const late = authority.issue("node-1-late", ["127.0.0.1"], { notAfter: new Date(Date.now() - 60_000) });
    await started.keys.swap(late, clients.cert);
    await eventually(() => started.logged.some(([level]) => level === "error"), "the end is told");
    await expect(shake(started)).rejects.toThrow("expired");
    await started.keys.swap(renewed, clients.cert);
    await eventually(() => started.logged.length === 3, "the new one is read");
    expect(await servedSubject(started)).toBe("node-1-renewed");
    const told = started.logged.map(([level, , facts]) => [level, (facts as { fault?: string }).fault]);
    expect(told).toEqual([
      ["info", undefined],
      ["error", expect.stringContaining("has expired")],
      ["info", undefined],
    ]);
  });

  test("without a client authority end what it vouched for, on open connections too", async () => {
    const started = await startTlsServer();
    const client = await started.clientOf(orchestrator);
    await client.info(neverAborted);
    await started.keys.swap(renewed, stranger.cert);
    await eventually(() => started.logged.length > 0, "the files are read");
    await expect(client.info(neverAborted)).rejects.toEqual(failure("UNAUTHENTICATED", "no longer trusted"));
    const other = await started.clientOf(stranger.issue("newcomer"));
    expect((await other.info(neverAborted)).nodeName).toBe("fake-node");
  });

  test("to an authority's next certificate, of the same key, end nothing on open connections", async () => {
    const started = await startTlsServer();
    const client = await started.clientOf(orchestrator);
    const events = client.watch({}, neverAborted)[Symbol.asyncIterator]();
    expect(await events.next()).toMatchObject({ value: { kind: "synced" } });
    await started.keys.swap(renewed, clients.renew());
    await eventually(() => started.logged.length > 0, "the files are read");
    const target = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
    await client.attach({ target, network: { name: "net-a" } }, neverAborted);
    expect(await events.next()).toMatchObject({ value: { kind: "attached" } });
  });

  test("again and again fail no call", async () => {
    const started = await startTlsServer();
    const running = new AbortController();
    let calls = 0;
    const call = async (): Promise<void> => {
      while (!running.signal.aborted) {
        await using client = await started.clientOf(orchestrator);
        for (let each = 0; each < 3; each += 1) await client.info(neverAborted);
        calls += 3;
      }
    };
    const change = async (): Promise<void> => {
      for (let count = 1; count <= 20; count += 1) {
        const cas = count % 2 === 0 ? clients.cert : `${stranger.cert}${clients.cert}`;
        await started.keys.swap(authority.issue(`node-${count}`, ["127.0.0.1"]), cas);
        await eventually(
          async () => (await servedSubject(started)) === `node-${count}`,
          "the new one is served",
        );
      }
      await eventually(() => calls > 50, "calls are made");
      running.abort();
    };
    await Promise.all([change(), call(), call(), call(), call()]);
  });
});

test("a server whose TLS files can't be used doesn't start", async () => {
  const { server, keys, port } = await startTlsServer();
  await server.close(0);
  await expect(connectOnce(port)).rejects.toThrow("ECONNREFUSED");
  await writeFile(keys.files.keyFile, "no key");
  const { log } = createKeptLog();
  const listen = {
    tls: {
      host: "127.0.0.1",
      port: 0,
      files: keys.files,
      credentials: [],
      authorizer: everything,
    },
  };
  const started = startServer({
    apiFor: () => {
      throw new Error("nobody calls");
    },
    targetOf: () => undefined,
    listen,
    log,
    version: "0",
  });
  await expect(started).rejects.toEqual(failure("INVALID_CONFIGURATION", "api.tls: certFile"));
});

async function* questions() {
  yield { messageRequest: { case: "listServices", value: "" } } as const;
}

async function connectOnce(port: number): Promise<void> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  await once(session, "connect");
}
