import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest, type RequestOptions } from "node:https";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import type { Authorizer } from "../../src/server/auth/contract.ts";
import { createStaticAuthorizer } from "../../src/server/auth/static-rules.ts";
import { eventually } from "./eventually.ts";
import { startTestServer } from "./started-server.ts";
import { authority, clients, startTlsServer, type TlsStarted } from "./tls-server.ts";

const scraper = clients.issue("scraper");
const other = clients.issue("other");
const rules = [{ users: ["scraper"], verbs: ["get"], resources: ["metrics"] }];

async function get(
  options: RequestOptions,
  request: typeof httpsRequest | typeof httpRequest = httpsRequest,
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number | undefined; body: string }>();
  const sent = request({ path: "/metrics", agent: false, ...options }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
  });
  sent.once("error", reject).end();
  return await promise;
}

const over = ({ port }: TlsStarted, certificate?: { readonly cert: string; readonly key: string }) => ({
  host: "127.0.0.1",
  port,
  ca: authority.cert,
  ...certificate,
});

test("are told on the TLS port to a caller who may get them, and to nobody else", async () => {
  const started = await startTlsServer({ authorizer: createStaticAuthorizer(rules) });
  expect(await get(over(started, scraper))).toEqual({ status: 200, body: "podplug_up 1\n" });
  expect(await get(over(started))).toMatchObject({ status: 401 });
  const denied = await get(over(started, other));
  expect(denied.status).toBe(403);
  expect(JSON.parse(denied.body)).toEqual({
    code: "permission_denied",
    message: "other may not get /metrics: no rule of the agent's configuration allows it",
  });
  expect(started.audited.map(({ facts }) => facts)).toMatchObject([
    { method: "metrics", authenticated: "no", outcome: "UNAUTHENTICATED" },
    { method: "metrics", caller: "other", authenticated: "client-certificate", outcome: "DENIED" },
  ]);
});

test("are refused when nobody can say who may get them, with the reason", async () => {
  const authorizer: Authorizer = async () => {
    throw new PodplugError("UNREACHABLE", "the API server doesn't answer");
  };
  const answer = await get(over(await startTlsServer({ authorizer }), scraper));
  expect(answer.status).toBe(503);
  expect(answer.body).toContain("the API server doesn't answer");
});

test("count among the calls that one caller may have in flight", async () => {
  const { promise: hanging, resolve: letGo } = Promise.withResolvers<{ readonly allowed: true }>();
  let asked = 0;
  const authorizer: Authorizer = () => {
    asked += 1;
    return hanging;
  };
  const started = await startTlsServer({ authorizer, limits: { inFlightPerCaller: 2 } });
  const waiting = [1, 2].map(() => get(over(started, scraper)));
  await eventually(() => asked === 2, "both are in flight");
  expect(await get(over(started, scraper))).toMatchObject({ status: 429 });
  letGo({ allowed: true });
  for (const answer of await Promise.all(waiting)) expect(answer.status).toBe(200);
  expect((await get(over(started, scraper))).status).toBe(200);
});

test("are told over HTTP/2 as well", async () => {
  const { url } = await startTlsServer({ authorizer: createStaticAuthorizer(rules) });
  const session = connectHttp2(url, { ca: authority.cert, ...scraper });
  const stream = session.request({ ":path": "/metrics" });
  expect(await text(stream)).toBe("podplug_up 1\n");
  session.destroy();
});

test("are told on the Unix socket, and on the loopback port to clients of this host", async () => {
  const { socketPath, port } = await startTestServer();
  expect(await get({ socketPath }, httpRequest)).toEqual({ status: 200, body: "podplug_up 1\n" });
  const loopback = { host: "127.0.0.1", port };
  expect(await get(loopback, httpRequest)).toMatchObject({ status: 200 });
  expect(await get({ ...loopback, method: "POST" }, httpRequest)).toMatchObject({ status: 404 });
  const rebound = { ...loopback, headers: { host: "evil.example" } };
  expect(await get(rebound, httpRequest)).toMatchObject({ status: 403 });
});
