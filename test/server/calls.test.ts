import { connect as connectHttp2 } from "node:http2";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { readRequestId } from "../../src/server/calls.ts";
import { createRecordingTelemetry, type EndedWork } from "../support/recording-telemetry.ts";
import { eventually } from "./eventually.ts";
import { methodPath, startTestServer } from "./started-server.ts";

const target = { target: { case: "netns", value: "/run/netns/a" } } as const;

async function startWatched() {
  const recording = createRecordingTelemetry();
  const started = await startTestServer({}, undefined, recording.telemetry);
  const post = (method: string, body: string, headers: Record<string, string> = {}) =>
    fetch(started.url + methodPath(method), {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body,
    });
  /** The one call that ended. */
  async function theEnd(): Promise<EndedWork> {
    await eventually(() => recording.ended.length > 0, "no call ended");
    const [end] = recording.ended;
    if (!end || recording.ended.length > 1) throw new Error(`${recording.ended.length} calls ended`);
    return end;
  }
  return { ...recording, ...started, post, theEnd };
}

const protocols = [
  ["Connect over HTTP/1.1", (url: string) => createConnectTransport({ baseUrl: url, httpVersion: "1.1" })],
  ["Connect over HTTP/2", (url: string) => createConnectTransport({ baseUrl: url, httpVersion: "2" })],
  ["gRPC", (url: string) => createGrpcTransport({ baseUrl: url })],
] as const;

test.each(protocols)("a call that succeeds by %s ends without a failure", async (_name, transportTo) => {
  const { url, theEnd } = await startWatched();
  await createClient(NodeService, transportTo(url)).getNodeInfo({});
  expect(await theEnd()).toMatchObject({
    work: { kind: "call", method: "GetNodeInfo", transport: "tcp" },
    failure: undefined,
  });
});

test.each(protocols)("a call that fails by %s ends with its code and reason", async (_name, transportTo) => {
  const { url, node, theEnd } = await startWatched();
  node.failNext(new PodplugError("NETWORK_NOT_FOUND", "no network blue"));
  const client = createClient(NodeService, transportTo(url));
  await expect(client.attachNetwork({ target, network: { name: "blue" } })).rejects.toThrow();
  expect((await theEnd()).failure).toMatchObject({ reason: "NETWORK_NOT_FOUND", code: "not_found" });
});

test.each(protocols)("a watch by %s that its caller ends is told as canceled", async (_name, transportTo) => {
  const { url, begun, theEnd } = await startWatched();
  const left = new AbortController();
  const watch = createClient(NodeService, transportTo(url)).watchInterfaces({}, { signal: left.signal });
  await expect(async () => {
    for await (const _event of watch) left.abort();
  }).rejects.toThrow();
  expect((await theEnd()).failure).toMatchObject({ reason: "CANCELED", code: "canceled" });
  expect(begun).toMatchObject([{ method: "WatchInterfaces" }]);
});

test.each([
  ["a body that isn't JSON", "{", {}, "invalid_argument"],
  ["a request that breaks a rule", "{}", {}, "invalid_argument"],
  ["a body that is too large", JSON.stringify({ owner: "o".repeat(2_000_000) }), {}, "resource_exhausted"],
  ["a content type of no protocol", "{}", { "content-type": "text/plain" }, undefined],
] as const)("%s is a call that failed", async (_name, body, headers, code) => {
  const { post, theEnd } = await startWatched();
  const response = await post("AttachNetwork", body, headers);
  expect(response.ok).toBe(false);
  expect((await theEnd()).failure?.code).toBe(code);
});

test("health and reflection are calls as well", async () => {
  const { url, theEnd } = await startWatched();
  const response = await fetch(`${url}/grpc.health.v1.Health/Check`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ service: "nobody" }),
  });
  expect(response.status).toBe(404);
  expect(await theEnd()).toMatchObject({ work: { method: "Check" }, failure: { code: "not_found" } });
});

test("a path of no RPC is no call", async () => {
  const { url, begun } = await startWatched();
  expect((await fetch(`${url}/nothing`)).status).toBe(404);
  expect(begun).toEqual([]);
});

test("an answer has the request's ID, the caller's when it gave one", async () => {
  const { post, begun } = await startWatched();
  const given = await post("GetNodeInfo", "{}", { "x-request-id": "abc-1", traceparent: "00-a" });
  expect(given.headers.get("x-request-id")).toBe("abc-1");
  const made = (await post("GetNodeInfo", "{}")).headers.get("x-request-id");
  expect(made).toMatch(/^[0-9a-f-]{36}$/);
  expect(begun).toMatchObject([{ requestId: "abc-1", traceparent: "00-a" }, { requestId: made }]);
});

test("an answer over HTTP/2 has it too", async () => {
  const { url } = await startWatched();
  const session = connectHttp2(url);
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const headers = { ":path": methodPath("GetNodeInfo"), ":method": "POST", "x-request-id": "two" };
  const stream = session.request({ ...headers, "content-type": "application/json" });
  stream.once("response", (answer) => resolve(answer["x-request-id"]));
  stream.end("{}");
  expect(await promise).toBe("two");
  session.destroy();
});

test.each(["", "with space", "line\nbreak", "semi;colon", "x".repeat(129), "naïve", undefined])(
  "a request ID like %j is replaced",
  (given) => {
    expect(readRequestId(given)).toMatch(/^[0-9a-f-]{36}$/);
  },
);
