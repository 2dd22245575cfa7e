import { connect as connectHttp2 } from "node:http2";
import { createConnection } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test } from "vitest";
import { FailureSchema, NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { connectErrorOf, podplugErrorOf } from "../../src/wire/errors.ts";
import { eventually } from "./eventually.ts";
import { methodPath, openRaw, type Started, startTestServer } from "./started-server.ts";

async function postJson(
  { url }: Started,
  method: string,
  body: unknown,
  headers: Record<string, string> = {},
) {
  const response = await fetch(url + methodPath(method), {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const json = (await response.json()) as { code?: string; message?: string };
  return { status: response.status, json };
}

const target = { netns: "/run/netns/a" };

describe("a request that breaks the contract", () => {
  test("is refused with every violation and its field", async () => {
    const started = await startTestServer();
    const network = {
      interface: "sixteen-letters!",
      ips: ["x".repeat(65)],
      source: 99,
      bandwidth: { egressRate: "18446744073709551615" },
      portMappings: [{ hostPort: 0, containerPort: 70_000 }],
    };
    const { status, json } = await postJson(started, "AttachNetwork", {
      target: {},
      network,
      owner: "o".repeat(254),
    });
    expect(status).toBe(400);
    expect(json).toMatchObject({
      code: "invalid_argument",
      details: [{ debug: { reason: "INVALID_REQUEST" } }],
    });
    for (const field of [
      "target.target",
      "network.interface",
      "network.ips[0]",
      "network.source",
      "network.bandwidth.egress_rate",
      "network.port_mappings[0].host_port",
      "network.port_mappings[0].container_port",
      "owner",
    ]) {
      expect(json.message).toContain(` ${field} `);
    }
    expect(started.node.callers).toEqual([]);
  });

  test.each([
    ["AttachNetwork", {}],
    ["AttachNetwork", { target }],
    ["AttachNetwork", { network: { name: "net-a" } }],
    ["DetachNetwork", { target }],
    ["DetachNetwork", { interface: "net1" }],
    ["CheckNetwork", { target }],
    ["CheckNetwork", { interface: "net1" }],
    ["ListInterfaces", { target: { pod: { name: "web" } } }],
    ["ListInterfaces", { target: { netns: `/${"n".repeat(4096)}` } }],
  ])("is refused, as in %s of %j", async (method, body) => {
    const { json } = await postJson(await startTestServer(), method, body);
    expect(json).toMatchObject({
      code: "invalid_argument",
      details: [{ debug: { reason: "INVALID_REQUEST" } }],
    });
  });

  test("is refused in a watch, too", async () => {
    const { url } = await startTestServer();
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    const watch = Array.fromAsync(client.watchInterfaces({ target: {} })).catch(podplugErrorOf);
    expect(await watch).toMatchObject({ reason: "INVALID_REQUEST" });
  });

  test("by an attachment's ID needs no target", async () => {
    const { status, json } = await postJson(await startTestServer(), "DetachNetwork", {
      attachmentId: "fake-9",
    });
    expect({ status, json }).toEqual({ status: 200, json: {} });
  });

  test("with a misspelt key is refused by its name", async () => {
    const started = await startTestServer();
    const { status, json } = await postJson(started, "AttachNetwork", { target, netwrok: { name: "net-a" } });
    expect(status).toBe(400);
    expect(json.message).toContain('key "netwrok" is unknown');
  });

  test.each(["", "{", "[]", '"x"', '{"target":7}', '{"network":{"source":"MOON"}}'])(
    "is refused when its body is %j",
    async (body) => {
      const { status, json } = await postJson(await startTestServer(), "AttachNetwork", body);
      expect({ status, code: json.code }).toEqual({ status: 400, code: "invalid_argument" });
    },
  );

  test("is refused with RESOURCE_EXHAUSTED when it is too large, compressed or not", async () => {
    const { url } = await startTestServer({ requestBytes: 10_000 });
    const network = { config: `{"name":"${"x".repeat(20_000)}"}` };
    const request = { target: { target: { case: "netns", value: "/run/netns/a" } }, network } as const;
    const plain = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
    const grpc = createGrpcTransport({ baseUrl: url });
    for (const transport of [plain, grpc]) {
      const failed = createClient(NodeService, transport).attachNetwork(request).catch(podplugErrorOf);
      expect(await failed).toMatchObject({ reason: "RESOURCE_EXHAUSTED" });
    }
    const { compressionGzip } = await import("@connectrpc/connect-node");
    const gzip = createGrpcTransport({ baseUrl: url, sendCompression: compressionGzip, compressMinBytes: 0 });
    expect(await createClient(NodeService, gzip).attachNetwork(request).catch(podplugErrorOf)).toMatchObject({
      reason: "RESOURCE_EXHAUSTED",
    });
  });

  test("for a service or method that isn't there is unimplemented", async () => {
    const started = await startTestServer();
    const response = await postJson(started, "FlyToTheMoon", {});
    expect(response).toMatchObject({ status: 404, json: { code: "unimplemented" } });
  });
});

describe("an error of the node", () => {
  test("arrives whole, with what the plugin said", async () => {
    const { node, url } = await startTestServer();
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    const facts = { plugin: "bridge", cniCode: 11, details: "try\nagain", retryAfterMs: 1500 };
    node.failNext(new PodplugError("PLUGIN_FAILED", "bridge failed, ä", facts));
    const failed = await client.listInterfaces({}).catch(podplugErrorOf);
    expect(failed).toMatchObject({ reason: "PLUGIN_FAILED", message: "bridge failed, ä", ...facts });
  });

  test("of its own making is INTERNAL, and logged once with its cause", async () => {
    const { node, logged, ...started } = await startTestServer();
    const fault = new TypeError("x is undefined");
    node.failNext(fault);
    const { status, json } = await postJson({ node, logged, ...started }, "GetNodeInfo", {});
    expect(status).toBe(500);
    expect(json).toMatchObject({ code: "internal", details: [{ debug: { reason: "INTERNAL" } }] });
    expect(logged).toHaveLength(1);
    expect(logged[0]).toMatchObject([
      "error",
      "call failed",
      { method: "GetNodeInfo", err: { cause: fault } },
    ]);
  });

  test("that is the caller's isn't logged", async () => {
    const { logged, ...started } = await startTestServer();
    await postJson({ logged, ...started }, "CheckNetwork", { target, interface: "net7" });
    expect(logged).toEqual([]);
  });

  test("of a newer engine doesn't pass for another", () => {
    const error = connectErrorOf(new PodplugError("INTERFACE_IN_USE", "net1 is in use"));
    expect(error.findDetails(FailureSchema)).toMatchObject([{ reason: "INTERFACE_IN_USE", retryable: true }]);
  });
});

describe("who calls", () => {
  test("is told apart by the listener, and can't be claimed", async () => {
    const { node, url, socketPath } = await startTestServer();
    const nodeOptions = { createConnection: () => createConnection(socketPath) };
    const tcp = createConnectTransport({ baseUrl: url, httpVersion: "1.1" });
    const unix = createConnectTransport({ baseUrl: "http://x", httpVersion: "2", nodeOptions });
    for (const transport of [tcp, unix]) {
      const headers = { "x-remote-user": "admin", authorization: "Bearer annotation/npwg" };
      await createClient(NodeService, transport).getNodeInfo({}, { headers });
    }
    expect(node.callers).toEqual([
      { name: "anonymous", reconciler: false },
      { name: "unix-socket", reconciler: false, root: true },
    ]);
  });

  test("owns what it attaches, and no reconciler's name is free", async () => {
    const { url } = await startTestServer();
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    const request = (owner: string) =>
      ({
        target: { target: { case: "netns", value: "/run/netns/a" } },
        network: { name: "net-a" },
        owner,
      }) as const;
    expect((await client.attachNetwork(request(""))).interface?.owner).toBe("anonymous");
    const claimed = client.attachNetwork(request("annotation/npwg")).catch(podplugErrorOf);
    expect(await claimed).toMatchObject({ reason: "OWNER_RESERVED" });
  });
});

describe("a web page", () => {
  test("can't call by its own origin", async () => {
    const started = await startTestServer();
    const raw = openRaw(started.port);
    raw.socket.write(
      `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: localhost:${started.port}\r\norigin: http://localhost:3000\r\n` +
        "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    );
    await eventually(() => raw.received().includes("\r\n\r\n{"), "an answer comes");
    expect(raw.received()).toMatch(/^HTTP\/1.1 403 /);
    expect(raw.received().toLowerCase()).not.toContain("access-control");
    expect(started.node.callers).toEqual([]);
  });

  test.each([
    "evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "[::2]",
    "10.0.0.1",
    "",
  ])("can't call under the name %j made to lead here", async (host) => {
    const { port, node } = await startTestServer();
    const raw = openRaw(port);
    raw.socket.write(
      `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: ${host}\r\n` +
        "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    );
    await eventually(() => raw.received().includes("\r\n\r\n"), "an answer comes");
    expect(raw.received()).toMatch(/^HTTP\/1.1 40[03] /);
    expect(node.callers).toEqual([]);
  });

  test.each(["localhost", "localhost:7654", "LOCALHOST", "127.0.0.1", "127.9.9.9:1", "[::1]:7654"])(
    "isn't what calls under the name %j",
    async (host) => {
      const { port } = await startTestServer();
      const raw = openRaw(port);
      raw.socket.write(
        `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: ${host}\r\n` +
          "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
      );
      await eventually(() => raw.received().includes("fake-node"), "the call is answered");
    },
  );

  test("can't call under another name in HTTP/2, either", async () => {
    const { url, node } = await startTestServer();
    const session = connectHttp2(url);
    onTestFinished(() => session.destroy());
    for (const headers of [{ ":authority": "evil.example" }, { host: "evil.example" }, { origin: "null" }]) {
      const path = {
        ":method": "POST",
        ":path": methodPath("GetNodeInfo"),
        "content-type": "application/json",
      };
      const stream = session.request({ ...path, ...headers });
      const { promise, resolve } = Promise.withResolvers<unknown>();
      stream.once("response", (answer) => resolve(answer[":status"])).end("{}");
      expect(await promise).toBe(403);
      stream.close();
    }
    expect(node.callers).toEqual([]);
  });

  test.each(["evil.example", "%2Frun%2Fpodplug.sock", "/run/podplug.sock", "[", ""])(
    "is nothing that a Unix socket knows, whatever the authority %j says",
    async (host) => {
      const { socketPath } = await startTestServer();
      const raw = openRaw(socketPath);
      raw.socket.write(
        `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: ${host}\r\norigin: x\r\n` +
          "content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
      );
      await eventually(() => raw.received().includes("fake-node"), "the call is answered");
    },
  );

  test("has a line in the audit for each request that is refused", async () => {
    const { port, audited } = await startTestServer();
    const asked = [
      `POST ${methodPath("AttachNetwork")} HTTP/1.1\r\nhost: evil.example`,
      `GET /metrics?x HTTP/1.1\r\nhost: localhost\r\norigin: http://evil.example`,
      `GET /${"x".repeat(5000)} HTTP/1.1\r\nhost: evil.example`,
    ];
    for (const [count, lines] of asked.entries()) {
      openRaw(port).socket.write(`${lines}\r\nx-request-id: request-${count}\r\n\r\n`);
      await eventually(() => audited.length > count, "it is told");
    }
    const refused = {
      authenticated: "no",
      remoteAddress: "127.0.0.1",
      outcome: "DENIED",
      message: "only clients of this host may call here, and no web pages",
    };
    expect(audited.map(({ facts }) => facts)).toMatchObject([
      { ...refused, method: "AttachNetwork", requestId: "request-0" },
      { ...refused, method: "metrics", requestId: "request-1" },
      { ...refused, method: "unknown", requestId: "request-2" },
    ]);
  });

  test("gets no leave from a preflight", async () => {
    const { url } = await startTestServer();
    const response = await fetch(url + methodPath("GetNodeInfo"), { method: "OPTIONS" });
    expect(response.status).toBe(405);
    expect([...response.headers.keys()].filter((name) => name.startsWith("access-control"))).toEqual([]);
  });
});

describe("too many calls", () => {
  test("of one caller are refused, and taken again when one ends", async () => {
    const { node, url, socketPath } = await startTestServer({ inFlightPerCaller: 2 });
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    node.pause();
    const waiting = [client.getNodeInfo({}), client.getNodeInfo({})];
    await eventually(() => node.waiting === 2, "both calls wait");
    expect(await client.getNodeInfo({}).catch(podplugErrorOf)).toMatchObject({
      reason: "RESOURCE_EXHAUSTED",
      message: "anonymous has 2 calls in flight, no more are taken",
      retryAfterMs: 1000,
    });
    node.resume();
    const nodeOptions = { createConnection: () => createConnection(socketPath) };
    const other = createClient(NodeService, createGrpcTransport({ baseUrl: "http://x", nodeOptions }));
    await other.getNodeInfo({});
    await Promise.all(waiting);
    await eventually(
      () =>
        client.getNodeInfo({}).then(
          () => true,
          () => false,
        ),
      "calls are taken again",
    );
  });

  test("of all callers are refused", async () => {
    const { node, url } = await startTestServer({ inFlight: 1 });
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    node.pause();
    const waiting = client.getNodeInfo({});
    await eventually(() => node.waiting === 1, "the call waits");
    expect(await client.getNodeInfo({}).catch(podplugErrorOf)).toMatchObject({
      reason: "RESOURCE_EXHAUSTED",
    });
    node.resume();
    await waiting;
  });
});
