import { connect } from "node:net";
import { createClient, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import type { ServiceError } from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { FailureSchema, NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { podplugErrorOf } from "../../src/wire/errors.ts";
import { createGrpcClient, statusOf } from "./grpc-client.ts";
import { methodPath, run, type Started, startTestServer } from "./started-server.ts";

const web = { target: { case: "pod", value: { namespace: "demo", name: "web" } } } as const;
const nowhere = { target: { case: "pod", value: { namespace: "demo", name: "nope" } } } as const;

describe("curl", () => {
  const ways: [string, (started: Started) => [base: string, ...args: string[]]][] = [
    ["HTTP/1.1", ({ url }) => [url, "--http1.1"]],
    ["HTTP/1.1 with an upgrade offered", ({ url }) => [url, "--http2"]],
    ["HTTP/2", ({ url }) => [url, "--http2-prior-knowledge"]],
    ["HTTP/1.1 on the Unix socket", ({ socketPath }) => ["http://podplug", "--unix-socket", socketPath]],
    [
      "HTTP/2 on the Unix socket",
      ({ socketPath }) => ["http://x", "--http2-prior-knowledge", "--unix-socket", socketPath],
    ],
  ];

  async function curl(started: Started, way: (typeof ways)[number][1], method: string, body: string) {
    const [base, ...args] = way(started);
    const headers = ["-H", "content-type: application/json"];
    const { stdout, stderr, code } = await run(
      "curl",
      ["-sS", "-m", "20", ...args, ...headers, "-w", "\n%{http_code}", "-d", body, base + methodPath(method)],
      started.directory,
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [json = "", status] = stdout.split("\n");
    return { status: Number(status), json: JSON.parse(json) };
  }

  test.each(ways)("attaches with a JSON body over %s", async (_name, way) => {
    const started = await startTestServer();
    const body = { target: { pod: { namespace: "demo", name: "web" } }, network: { name: "net-a" } };
    const { status, json } = await curl(started, way, "AttachNetwork", JSON.stringify(body));
    expect(status).toBe(200);
    expect(json).toMatchObject({ created: true, interface: { name: "net1", network: "demo/net-a" } });
  });

  test.each(ways)("reads an error with its reason over %s", async (_name, way) => {
    const started = await startTestServer();
    const body = { target: { pod: { namespace: "demo", name: "nope" } }, network: { name: "net-a" } };
    const { status, json } = await curl(started, way, "AttachNetwork", JSON.stringify(body));
    expect(status).toBe(404);
    expect(json).toMatchObject({
      code: "not_found",
      message: "there is no pod demo/nope",
      details: [{ type: "podplug.v1.Failure", debug: { reason: "TARGET_NOT_FOUND", retryable: true } }],
    });
  });

  test("reads what has no side effects with GET", async () => {
    const { url, directory } = await startTestServer();
    const get = (method: string) =>
      run(
        "curl",
        ["-sS", "-G", "--data-urlencode", "message={}", "-d", "encoding=json", url + methodPath(method)],
        directory,
      );
    expect(JSON.parse((await get("GetNodeInfo")).stdout)).toMatchObject({ nodeName: "fake-node" });
    expect(JSON.parse((await get("ListInterfaces")).stdout)).toEqual({});
    expect((await get("AttachNetwork")).stdout).toBe("");
  });
});

describe("buf curl, which knows the schema only by reflection,", () => {
  const protocols = ["grpc", "grpcweb", "connect"] as const;

  async function bufCurl(started: Started, args: string[], method: string, body: object) {
    const flags = ["curl", "--http2-prior-knowledge", ...args, "-d", JSON.stringify(body)];
    return await run("buf", [...flags, started.url + methodPath(method)], started.directory);
  }

  test.each(protocols)("calls by %s, over TCP and over the Unix socket", async (protocol) => {
    const started = await startTestServer();
    const request = { target: { pod: { namespace: "demo", name: "web" } }, network: { name: "net-a" } };
    const first = await bufCurl(started, ["--protocol", protocol], "AttachNetwork", request);
    expect(first.stderr).toBe("");
    expect(JSON.parse(first.stdout)).toMatchObject({ created: true, interface: { owner: "anonymous" } });
    const socket = ["--protocol", protocol, "--unix-socket", started.socketPath];
    const second = await bufCurl(started, socket, "ListInterfaces", {});
    expect(second.stderr).toBe("");
    expect(JSON.parse(second.stdout)).toMatchObject({ interfaces: [{ name: "net1" }] });
  });

  test.each(protocols)("reads an error's details by %s", async (protocol) => {
    const started = await startTestServer();
    const request = { target: { pod: { namespace: "demo", name: "nope" } }, network: { name: "net-a" } };
    const { code, stderr } = await bufCurl(started, ["--protocol", protocol], "AttachNetwork", request);
    expect(code).not.toBe(0);
    expect(JSON.parse(stderr)).toMatchObject({
      code: "not_found",
      message: "there is no pod demo/nope",
      details: [{ type: "podplug.v1.Failure" }],
    });
  });
});

describe("grpc-js", () => {
  test.each(["TCP", "the Unix socket"])("calls over %s", async (way) => {
    const { port, socketPath } = await startTestServer();
    const { call } = createGrpcClient(way === "TCP" ? `127.0.0.1:${port}` : `unix:${socketPath}`);
    const answer = await call(NodeService.method.attachNetwork, { target: web, network: { name: "net-a" } });
    expect(answer.interface?.name).toBe("net1");
    const failed = await call(NodeService.method.listInterfaces, { target: nowhere }).then(
      () => undefined,
      (error: ServiceError) => error,
    );
    // grpc-js undoes only a part of the message's percent-encoding.
    expect(decodeURIComponent(failed?.details ?? "")).toBe("there is no pod demo/nope");
    expect(failed && statusOf(failed)?.findDetails(FailureSchema)).toMatchObject([
      { reason: "TARGET_NOT_FOUND", message: "there is no pod demo/nope", retryable: true },
    ]);
  });
});

describe("connect-es", () => {
  type Way = readonly [string, (started: Started) => Transport];
  const connectWays = (["1.1", "2"] as const).flatMap((httpVersion) =>
    [true, false].map(
      (useBinaryFormat): Way => [
        `Connect, HTTP/${httpVersion}, ${useBinaryFormat ? "binary" : "JSON"}`,
        ({ url }) => createConnectTransport({ baseUrl: url, httpVersion, useBinaryFormat }),
      ],
    ),
  );
  const ways: readonly Way[] = [
    ...connectWays,
    [
      "Connect with GET",
      ({ url }) => createConnectTransport({ baseUrl: url, httpVersion: "1.1", useHttpGet: true }),
    ],
    ["gRPC", ({ url }) => createGrpcTransport({ baseUrl: url })],
    ["gRPC-Web, HTTP/1.1", ({ url }) => createGrpcWebTransport({ baseUrl: url, httpVersion: "1.1" })],
    ["gRPC-Web, HTTP/2", ({ url }) => createGrpcWebTransport({ baseUrl: url, httpVersion: "2" })],
    [
      "Connect over the Unix socket",
      ({ socketPath }) =>
        createConnectTransport({
          baseUrl: "http://podplug",
          httpVersion: "2",
          nodeOptions: { createConnection: () => connect(socketPath) },
        }),
    ],
  ];

  test.each(ways)("calls and reads errors by %s", async (_name, transport) => {
    const started = await startTestServer();
    const client = createClient(NodeService, transport(started));
    const network = {
      name: "net-a",
      cniArgs: { deep: [{ a: [1, null, "x"] }] },
      bandwidth: { egressRate: 10n },
    };
    const attached = await client.attachNetwork({ target: web, network });
    expect(attached).toMatchObject({ created: true, interface: { selection: network } });
    expect((await client.listInterfaces({ target: web })).interfaces).toHaveLength(1);
    await client.checkNetwork({ target: web, interface: "net1" });
    const which = { case: "interface", value: "net1" } as const;
    expect(await client.detachNetwork({ target: web, which })).toMatchObject({ detached: true });
    expect(await client.detachNetwork({ target: web, which })).toMatchObject({ detached: false });
    const failed = await client.listInterfaces({ target: nowhere }).catch(podplugErrorOf);
    expect(failed).toMatchObject({ reason: "TARGET_NOT_FOUND", message: "there is no pod demo/nope" });
  });

  test.each(ways)("watches by %s", async (_name, transport) => {
    const started = await startTestServer();
    const client = createClient(NodeService, transport(started));
    await client.attachNetwork({ target: web, network: { name: "net-a" } });
    const controller = new AbortController();
    const kinds: string[] = [];
    for await (const event of client.watchInterfaces({ target: web }, { signal: controller.signal })) {
      kinds.push(`${event.kind} ${event.interface?.name ?? ""}`);
      if (kinds.length === 2) await client.attachNetwork({ target: web, network: { name: "net-b" } });
      if (kinds.length === 3) break;
    }
    expect(kinds).toEqual(["1 net1", "2 ", "3 net2"]);
    controller.abort();
  });
});
