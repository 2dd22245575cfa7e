import { execFile } from "node:child_process";
import { request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { RunningAgent } from "../../src/agent.ts";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { fails, makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { createClusterWorld, nodeName } from "../kube/cluster-world.ts";
import { eventually } from "../server/eventually.ts";
import { openRaw } from "../server/started-server.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";
import { readableLog, runAgentProgram, startAgentProgram, toldOf } from "./agent-program.ts";
import { addWaitingPlugin } from "./waiting-plugin.ts";

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

async function get(
  { ops }: RunningAgent["addresses"],
  path: string,
  options: {
    readonly headers?: Record<string, string>;
    readonly method?: string;
    readonly host?: string;
  } = {},
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { host = "127.0.0.1", ...rest } = options;
  const sent = request({ ...rest, host, port: ops?.port, path }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
  });
  sent.once("error", reject).end();
  return await promise;
}

test("a healthy agent is alive and ready, and lists what was checked when asked to", async () => {
  await using node = await makeNode();
  await using here = await startAgentHere(node);
  const { addresses } = here.agent;
  expect(await get(addresses, "/livez")).toEqual({ status: 200, body: "ok\n" });
  expect(await get(addresses, "/readyz")).toEqual({ status: 200, body: "ok\n" });
  expect(await get(addresses, "/readyz?verbose")).toEqual({
    status: 200,
    body: "[+] api ok\n[+] runtime ok\n",
  });
  expect(await get(addresses, "/livez", { method: "POST" })).toMatchObject({ status: 405 });
  expect(await get(addresses, "/")).toMatchObject({ status: 404 });
});

test("whoever holds connections open, with a request or without, keeps no probe from its answer", async () => {
  await using node = await makeNode();
  await using here = await startAgentHere(node);
  const { addresses } = here.agent;
  const port = addresses.ops?.port ?? 0;
  const held = Array.from({ length: 200 }, () => openRaw(port));
  for (const { socket } of held) socket.write("GET /livez HTTP/1.1\r\nhost: localhost\r\n");
  expect(await get(addresses, "/livez")).toEqual({ status: 200, body: "ok\n" });
  await eventually(
    () => held.filter(({ isClosed }) => !isClosed()).length === 63,
    "the longest open have made room",
  );
  expect(held.slice(-63).some(({ isClosed }) => isClosed())).toBe(false);
  expect(await get(addresses, "/readyz")).toEqual({ status: 200, body: "ok\n" });
});

test("a probe's connection ends with its answer, whatever it asks for", async () => {
  await using node = await makeNode();
  await using here = await startAgentHere(node);
  const { socket, received, isClosed } = openRaw(here.agent.addresses.ops?.port ?? 0);
  socket.write("GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: keep-alive\r\n\r\n");
  await eventually(isClosed, "the connection is closed");
  expect(received()).toMatch(/^HTTP\/1\.1 200 [^]*\r\nconnection: close\r\n[^]*ok\n$/i);
});

test("an agent whose runtime is away is alive, and not ready for this reason", async () => {
  await using node = await makeNode();
  const criSocketPath = join(node.root, "no-such.sock");
  await using away = await makeNode({ config: { runtime: "cri", criSocketPath } });
  await using here = await startAgentHere(away);
  expect(await get(here.agent.addresses, "/livez")).toMatchObject({ status: 200 });
  const { status, body } = await get(here.agent.addresses, "/readyz");
  expect(status).toBe(503);
  expect(body).toMatch(/^\[\+\] api ok\n\[-\] runtime: .*no-such\.sock/);
});

test("an agent isn't ready before the API server has told its pods, and stays ready when that goes away", async () => {
  await using cluster = await createClusterWorld();
  const kubeconfig = await cluster.writeKubeconfig();
  await using node = await makeNode({ config: { nodeName, controller: { enabled: true, kubeconfig } } });
  await cluster.server.goAway();
  await using here = await startAgentHere(node);
  const { addresses } = here.agent;
  expect(await get(addresses, "/readyz")).toEqual({
    status: 503,
    body: "[+] api ok\n[+] runtime ok\n[-] pods: the API server hasn't told this node's pods yet; see the log\n",
  });
  expect(await get(addresses, "/livez")).toMatchObject({ status: 200 });
  await cluster.server.comeBack();
  const isReady = async (): Promise<boolean> => (await get(addresses, "/readyz")).status === 200;
  await eventually(isReady, "it is ready");
  await cluster.server.goAway();
  expect(await get(addresses, "/readyz")).toEqual({ status: 200, body: "ok\n" });
});

test("what an earlier run left doesn't keep an agent from being ready", async () => {
  await using plugins = await makePluginDirectory();
  await using node = await makeNode({ binDirs: [plugins.path], config: readableLog });
  await plugins.add("stuck", { DEL: ["sleep 1000"] });
  await node.defineNetwork("stuck", [{ type: "stuck" }]);
  await using netns = await makeNetns("ops");
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  const target = { kind: "netns", netns: netns.path } as const;
  {
    await using _first = await startAgentProgram(node.configFile);
    await client.attach({ target, network: { name: "stuck", interface: "net1" } }, neverAborted);
    const detaching = client
      .detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted)
      .catch(() => undefined);
    await eventually(async () => (await plugins.order()).includes("stuck DEL"), "DEL has begun");
    _first.kill("SIGKILL");
    await detaching;
  }
  await using second = await startAgentProgram(node.configFile);
  expect(await get(second.addresses, "/readyz")).toEqual({ status: 200, body: "ok\n" });
  expect(second.log().some(({ message }) => message === "recovery is complete")).toBe(false);
});

test("an agent that stops says so as long as it has work to finish", async () => {
  await using plugins = await makePluginDirectory();
  const plugin = await addWaitingPlugin(plugins);
  await using node = await makeNode({ binDirs: [plugins.path], config: readableLog });
  await node.defineNetwork("slow", [{ type: "waiting" }]);
  await using netns = await makeNetns("ops");
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  await using program = await startAgentProgram(node.configFile);
  const target = { kind: "netns", netns: netns.path } as const;
  const attaching = client.attach({ target, network: { name: "slow", interface: "net1" } }, neverAborted);
  await plugin.begun();
  program.kill("SIGTERM");
  const isStopping = async (): Promise<boolean> => {
    const { status, body } = await get(program.addresses, "/readyz");
    return status === 503 && body.startsWith("[-] api: podplug is stopping\n");
  };
  await eventually(isStopping, "it isn't ready any more");
  expect(await get(program.addresses, "/livez")).toMatchObject({ status: 200 });
  await plugin.letGo();
  await attaching;
  expect((await program.ended).code).toBe(0);
});

test("a port that somebody else has keeps an agent from starting, with the reason", async () => {
  await using node = await makeNode({ config: readableLog });
  await using first = await startAgentProgram(node.configFile);
  const listen = `127.0.0.1:${first.addresses.ops?.port}`;
  await using other = await makeNode({ config: { ops: { listen } } });
  const message = `can't listen on ${listen}, listen EADDRINUSE: address already in use ${listen}`;
  expect(await runAgentProgram(other.configFile)).toMatchObject({
    code: 5,
    stderr: toldOf("ADDRESS_UNAVAILABLE", message),
  });
});

test("an address that the node doesn't have yet is no fault of the configuration's", async () => {
  const listen = "192.0.2.78:7655";
  await using node = await makeNode({ config: { ops: { listen } } });
  const message = `can't listen on ${listen}, listen EADDRNOTAVAIL: address not available ${listen}`;
  expect(await runAgentProgram(node.configFile)).toMatchObject({
    code: 5,
    stderr: toldOf("ADDRESS_UNAVAILABLE", message),
  });
  await promisify(execFile)("ip", ["address", "replace", "192.0.2.78/32", "dev", "lo"]);
  await using here = await startAgentHere(node);
  expect(await get(here.agent.addresses, "/livez", { host: "192.0.2.78" })).toMatchObject({ status: 200 });
});

test("without an address there are no ops endpoints", async () => {
  await using node = await makeNode({ config: { ops: { listen: "" } } });
  await using here = await startAgentHere(node);
  expect(here.agent.addresses.ops).toBeUndefined();
});

test("metrics tell what was plugged, which plugins ran, and how calls ended", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("ops");
  await using here = await startAgentHere(node);
  const { client, agent } = here;
  const target = { kind: "netns", netns: netns.path } as const;
  await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  await client.attach({ target, network: { name: "green", interface: "net2" } }, neverAborted);
  await client.detach({ target, which: { by: "interface", interface: "net2" } }, neverAborted);
  const failing = client.attach({ target, network: { name: "red" } }, neverAborted);
  await expect(failing).rejects.toMatchObject({ reason: "NETWORK_NOT_FOUND" });

  const { body } = await get(agent.addresses, "/metrics");
  for (const line of [
    'podplug_rpc_requests_total{method="AttachNetwork",code="ok",transport="unix"} 2',
    'podplug_rpc_requests_total{method="AttachNetwork",code="not_found",transport="unix"} 1',
    'podplug_rpc_failures_total{method="AttachNetwork",reason="NETWORK_NOT_FOUND"} 1',
    'podplug_rpc_in_flight{method="AttachNetwork"} 0',
    'podplug_rpc_duration_seconds_count{method="DetachNetwork"} 1',
    'podplug_attach_duration_seconds_count{network_type="bridge",outcome="success"} 2',
    'podplug_detach_duration_seconds_count{network_type="bridge",outcome="success"} 1',
    'podplug_plugin_runs_total{plugin="bridge",verb="ADD",outcome="success"} 2',
    'podplug_plugin_runs_total{plugin="bridge",verb="DEL",outcome="success"} 1',
    'podplug_plugin_duration_seconds_count{plugin="bridge",verb="ADD"} 2',
    'podplug_attachments{state="attached"} 1',
    'podplug_attachments{state="failed"} 0',
    'podplug_workqueue_retrying{name="cleanup"} 0',
    `podplug_build_info{version="0.1.0",node_version="${process.version}"} 1`,
  ]) {
    expect(body.split("\n")).toContain(line);
  }
  expect(body).toContain("\nprocess_resident_memory_bytes ");
  expect(body).toContain("\nnodejs_eventloop_lag_p99_seconds ");
});

test("what a failing plugin leaves is seen as a cleanup that is tried again", async () => {
  await using plugins = await makePluginDirectory();
  // Tried again after five seconds at the earliest, when all has been looked at.
  await plugins.add("broken", { ADD: ["exit 1"], DEL: [fails(11, "busy")] });
  await using node = await makeNode({ binDirs: [plugins.path] });
  await node.defineNetwork("broken", [{ type: "broken" }]);
  await using netns = await makeNetns("ops");
  await using here = await startAgentHere(node);
  const target = { kind: "netns", netns: netns.path } as const;
  const attaching = here.client.attach({ target, network: { name: "broken" } }, neverAborted);
  await expect(attaching).rejects.toMatchObject({ reason: "PLUGIN_FAILED" });
  const { body } = await get(here.agent.addresses, "/metrics");
  for (const line of [
    'podplug_attach_duration_seconds_count{network_type="broken",outcome="error"} 1',
    'podplug_plugin_runs_total{plugin="broken",verb="ADD",outcome="PLUGIN_FAILED"} 1',
    'podplug_attachments{state="failed"} 1',
    'podplug_workqueue_retrying{name="cleanup"} 1',
    'podplug_workqueue_retries_total{name="cleanup"} 1',
  ]) {
    expect(body.split("\n")).toContain(line);
  }
  expect(body).toMatch(/\npodplug_workqueue_oldest_age_seconds\{name="cleanup"\} \d+\.\d/);
});

test("metrics are for this host, and for no page of a browser's", async () => {
  await promisify(execFile)("ip", ["address", "replace", "192.0.2.77/32", "dev", "lo"]);
  await using node = await makeNode({ config: { ops: { listen: "0.0.0.0:0" } } });
  await using here = await startAgentHere(node);
  const { addresses } = here.agent;
  const elsewhere = { host: "192.0.2.77" };
  expect(await get(addresses, "/metrics")).toMatchObject({ status: 200 });
  expect(await get(addresses, "/livez", elsewhere)).toMatchObject({ status: 200 });
  expect(await get(addresses, "/metrics", elsewhere)).toMatchObject({ status: 403 });
  const rebound = { headers: { host: "evil.example" } };
  expect(await get(addresses, "/metrics", rebound)).toMatchObject({ status: 403 });
  const crossing = { headers: { origin: "http://evil.example" } };
  expect(await get(addresses, "/metrics", crossing)).toMatchObject({ status: 403 });
});

test("a request's ID is in the log of all that is done for it, and in its plugins' environment", async () => {
  await using plugins = await makePluginDirectory();
  await plugins.add("broken", { ADD: ["exit 1"] });
  await using node = await makeNode({ binDirs: [plugins.path], config: readableLog });
  await node.defineNetwork("broken", [node.bridgePlugin(), { type: "broken" }]);
  await using netns = await makeNetns("ops");
  await using program = await startAgentProgram(node.configFile);
  const { promise, resolve } = Promise.withResolvers<Answer & { readonly id: unknown }>();
  const path = "/podplug.v1.NodeService/AttachNetwork";
  const headers = { "content-type": "application/json", "x-request-id": "request-7" };
  const sent = request({ socketPath: node.socket, path, method: "POST", headers }, (response) => {
    const id = response.headers["x-request-id"];
    void text(response).then((body) => resolve({ status: response.statusCode, body, id }));
  });
  sent.end(JSON.stringify({ target: { netns: netns.path }, network: { name: "broken" } }));
  const { body, id } = await promise;
  expect({ reason: body.includes("PLUGIN_FAILED"), id }).toEqual({ reason: true, id: "request-7" });

  const factsOf = (said: string) => program.log().find(({ message }) => message === said)?.facts;
  expect(factsOf("attaching failed")).toMatchObject({ requestId: "request-7", reason: "PLUGIN_FAILED" });
  expect(factsOf("audit")).toMatchObject({ requestId: "request-7", outcome: "PLUGIN_FAILED" });
  const ids = (await plugins.calls()).map(({ command, env }) => [command, env["PODPLUG_REQUEST_ID"]]);
  expect(ids).toEqual([
    ["ADD", "request-7"],
    ["DEL", "request-7"],
  ]);
});
