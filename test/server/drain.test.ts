import { existsSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { podplugErrorOf } from "../../src/wire/errors.ts";
import { eventually } from "./eventually.ts";
import { createGrpcClient } from "./grpc-client.ts";
import { methodPath, openRaw, startTestServer } from "./started-server.ts";

const patientMs = 20_000;

describe("a server that closes", () => {
  test("ends watchers with AGENT_STOPPING and lets a running call finish", async () => {
    const { node, server, url, socketPath } = await startTestServer();
    const transports = [
      createGrpcTransport({ baseUrl: url }),
      createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
    ];
    const ends = transports.map((transport) =>
      Array.fromAsync(createClient(NodeService, transport).watchInterfaces({})).catch(podplugErrorOf),
    );
    await eventually(() => node.watching === 2, "both watches begin");
    node.pause();
    const calls = transports.map((transport) => createClient(NodeService, transport).getNodeInfo({}));
    await eventually(() => node.waiting === 2, "both calls wait");

    const closed = server.close(patientMs);
    for (const end of ends) expect(await end).toMatchObject({ reason: "AGENT_STOPPING" });
    await eventually(() => !existsSync(socketPath) || node.waiting === 2, "the calls go on");
    node.resume();
    for (const call of calls) expect((await call).nodeName).toBe("fake-node");
    await closed;
    expect(existsSync(socketPath)).toBe(false);
    expect(node.watching).toBe(0);
  });

  test("cuts what doesn't finish in time, and says why where it can", async () => {
    const { node, server, url } = await startTestServer();
    node.pause();
    const client = createClient(NodeService, createGrpcTransport({ baseUrl: url }));
    const call = client.getNodeInfo({}).catch(podplugErrorOf);
    await eventually(() => node.waiting === 1, "the call waits");
    await server.close(50);
    expect(await call).toMatchObject({ reason: "AGENT_STOPPING" });
    expect(node.waiting).toBe(0);
  });

  test("closes connections that ask for nothing at once", async () => {
    const { server, port } = await startTestServer();
    const silent = openRaw(port);
    const idle = openRaw(port);
    const info = `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: localhost\r\n`;
    idle.socket.write(`${info}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`);
    await eventually(() => idle.received().includes("fake-node"), "the answer comes");
    const begun = performance.now();
    await server.close(patientMs);
    expect(performance.now() - begun).toBeLessThan(patientMs / 2);
    await eventually(() => silent.isClosed() && idle.isClosed(), "both are closed");
  });

  test("tells an HTTP/1.1 client that its connection ends with the answer", async () => {
    const { node, server, port } = await startTestServer();
    node.pause();
    const raw = openRaw(port);
    const info = `POST ${methodPath("GetNodeInfo")} HTTP/1.1\r\nhost: localhost\r\n`;
    raw.socket.write(`${info}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`);
    await eventually(() => node.waiting === 1, "the call waits");
    const closed = server.close(patientMs);
    node.resume();
    await closed;
    await eventually(raw.isClosed, "the connection ends");
    expect(raw.received().toLowerCase()).toContain("connection: close");
    expect(raw.received()).toContain("fake-node");
  });

  test("takes no new connection and no new call", async () => {
    const { node, server, url, port } = await startTestServer();
    const { call } = createGrpcClient(`127.0.0.1:${port}`);
    node.pause();
    const running = call(NodeService.method.getNodeInfo, {});
    await eventually(() => node.waiting === 1, "the call waits");
    const closed = server.close(patientMs);
    const refused = createClient(NodeService, createGrpcTransport({ baseUrl: url })).getNodeInfo({});
    expect(await refused.catch(podplugErrorOf)).toMatchObject({ reason: "UNREACHABLE" });
    node.resume();
    expect((await running).nodeName).toBe("fake-node");
    await closed;
  });

  test("says NOT_SERVING to those who watch its health before it goes", async () => {
    const { server, url } = await startTestServer();
    const statuses: number[] = [];
    const watching = (async () => {
      for await (const { status } of createClient(Health, createGrpcTransport({ baseUrl: url })).watch({})) {
        statuses.push(status);
      }
    })().catch(podplugErrorOf);
    await eventually(() => statuses.length === 1, "the first status comes");
    await server.close(patientMs);
    expect(await watching).toMatchObject({ reason: "AGENT_STOPPING" });
    expect(statuses).toEqual([1, 2]);
  });

  test("doesn't wait for a client that keeps its reflection stream", async () => {
    const { server, port } = await startTestServer();
    const stream = createGrpcClient(`127.0.0.1:${port}`).bidi(ServerReflection.method.serverReflectionInfo);
    const answers: unknown[] = [];
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    stream.on("data", (answer) => answers.push(answer)).on("error", () => resolve());
    stream.on("end", resolve);
    const messageRequest = { case: "listServices", value: "" } as const;
    stream.write(create(ServerReflectionRequestSchema, { messageRequest }));
    await eventually(() => answers.length === 1, "the answer comes");
    const begun = performance.now();
    await server.close(patientMs);
    expect(performance.now() - begun).toBeLessThan(patientMs / 2);
    await ended;
  });

  test("can be closed twice, and answers both alike", async () => {
    const { server } = await startTestServer();
    const first = server.close(patientMs);
    expect(server.close(0)).toBe(first);
    await first;
  });
});
