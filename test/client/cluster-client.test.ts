import { expect, onTestFinished, test } from "vitest";
import { createClusterClient } from "../../src/client/cluster/cluster-client.ts";
import { createServiceTokens } from "../../src/client/cluster/service-token.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import type { InterfaceEvent, NodeApi } from "../../src/domain/node-api.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import type { ServiceToken } from "../../src/kube/cluster-contract.ts";
import { podPath } from "../kube/cluster-world.ts";
import { eventually } from "../server/eventually.ts";
import { authority } from "../server/tls-server.ts";
import { failure } from "../support/failure.ts";
import { account, agentLabels, createTwoAgents, podOf } from "./two-agents.ts";

const attach = (api: NodeApi, pod: string) =>
  api.attach({ target: podOf(pod), network: { name: "net-a", interface: "data0" } }, signal);

test("a pod's calls go to its node's agent, through the API server and with a token for podplug alone", async () => {
  const { client, first, second, shown, server } = await createTwoAgents();
  const attached = await attach(client, "db");
  expect(attached).toMatchObject({ created: true, interface: { name: "data0", pod: { name: "db" } } });
  expect({ first: first.node.attachments.length, second: second.node.attachments.length }).toEqual({
    first: 0,
    second: 1,
  });
  await client.check({ target: podOf("db"), interface: "data0" }, signal);
  expect(await client.list({ target: podOf("db") }, signal)).toMatchObject([{ name: "data0" }]);
  const which = { by: "interface", interface: "data0" } as const;
  expect(await client.detach({ target: podOf("db"), which }, signal)).toMatchObject({ detached: true });
  expect(second.node.attachments).toEqual([]);
  // One, for all of them.
  expect(new Set(shown)).toEqual(new Set(["demo.serviceaccounts.podplug-client.podplug.1"]));
  expect(server.seen.filter(({ method }) => method === "UPGRADE")).toHaveLength(1);
});

test("a call without a target is about every agent, or those of a namespace's pods", async () => {
  const { client, cluster, first, second, shown } = await createTwoAgents();
  await attach(client, "web");
  await attach(client, "db");
  const everywhere = await client.list({}, signal);
  expect(everywhere.map(({ pod }) => pod?.name)).toEqual(["db", "web"]);
  // The second of one node: these nodes in memory count alike.
  const { interface: more } = await client.attach(
    { target: podOf("web"), network: { name: "net-b" } },
    signal,
  );
  const which = { by: "id", attachmentId: more.attachmentId } as const;
  expect(await client.detach({ which }, signal)).toMatchObject({ detached: true });
  expect([first, second].map(({ node }) => node.attachments.length)).toEqual([1, 1]);
  const before = shown.length;
  const token = () => Promise.resolve("token");
  await using narrow = createClusterClient({
    cluster,
    token,
    ca: authority.cert,
    tlsServerName: "127.0.0.1",
    namespace: "empty",
  });
  expect(await narrow.list({}, signal)).toEqual([]);
  expect(shown).toHaveLength(before);
});

test("an agent that can't be reached is told of beside the others' answer, or is the call's failure", async () => {
  const failures: PodplugError[] = [];
  const world = await createTwoAgents({ onFailure: (error) => failures.push(error) });
  await attach(world.client, "web");
  world.server.ports.delete(`${podPath("podplug/agent-2")}:7654`);
  expect(await world.client.list({}, signal)).toMatchObject([{ name: "data0" }]);
  expect(failures).toEqual([failure("UNREACHABLE", "node node-2: ")]);
  expect(failures[0]?.message).toContain("connection refused");
  const strict = createClusterClient({
    cluster: world.cluster,
    ca: authority.cert,
    tlsServerName: "127.0.0.1",
    token: () => Promise.resolve("token"),
  });
  onTestFinished(() => strict.close());
  await expect(strict.list({}, signal)).rejects.toEqual(failure("UNREACHABLE", "node node-2: "));
});

test("a node without an agent, a pod without a node and a pod that isn't are each told apart", async () => {
  const failures: PodplugError[] = [];
  const { client, setPod, removePod } = await createTwoAgents({
    namespace: "demo",
    onFailure: (error) => failures.push(error),
  });
  removePod("podplug/agent-2");
  setPod("demo/pending", {}, { nodeName: "" });
  await expect(attach(client, "db")).rejects.toEqual(failure("AGENT_NOT_FOUND", "node node-2"));
  await expect(attach(client, "pending")).rejects.toEqual(failure("SANDBOX_NOT_READY", "demo/pending"));
  await expect(attach(client, "nope")).rejects.toEqual(failure("TARGET_NOT_FOUND", "demo/nope"));
  expect(await client.list({}, signal)).toEqual([]);
  expect(failures).toEqual([failure("AGENT_NOT_FOUND", "node node-2")]);
  removePod("podplug/agent-1");
  await expect(client.list({}, signal)).rejects.toEqual(failure("AGENT_NOT_FOUND", "any node"));
});

test("while a rollout goes on, the agent that stays is asked", async () => {
  const { client, setPod, first } = await createTwoAgents();
  const ending = { labels: agentLabels, deletionTimestamp: "2026-01-01T00:00:00Z" };
  setPod("podplug/agent-0", ending, { nodeName: "node-1" });
  await attach(client, "web");
  expect(first.node.attachments).toHaveLength(1);
});

test("what is detached by its ID is found wherever it is, and isn't said to be nowhere while an agent is silent", async () => {
  const { client, first, server } = await createTwoAgents({ namespace: "empty", onFailure: () => undefined });
  const { interface: attached } = await attach(client, "web");
  server.ports.delete(`${podPath("podplug/agent-2")}:7654`);
  const which = { by: "id", attachmentId: attached.attachmentId } as const;
  expect(await client.detach({ which }, signal)).toMatchObject({ detached: true });
  expect(first.node.attachments).toEqual([]);
  await expect(client.detach({ which }, signal)).rejects.toEqual(failure("UNREACHABLE", "node node-2: "));
});

test("of many who need a token one asks, and none is held up or failed by another who leaves", async () => {
  const given = Promise.withResolvers<ServiceToken>();
  const requests: AbortSignal[] = [];
  const cluster = {
    requestToken: (_request: unknown, left: AbortSignal) => {
      requests.push(left);
      return given.promise;
    },
  };
  const token = createServiceTokens({ cluster, account, lifetimeSeconds: 600, clock: systemClock });
  const leaving = new AbortController();
  const first = token(leaving.signal);
  const second = token(signal);
  leaving.abort();
  await expect(first).rejects.toEqual(failure("CANCELED"));
  given.resolve({ token: "one", expiresAt: new Date(Date.now() + 600_000) });
  expect([await second, await token(signal)]).toEqual(["one", "one"]);
  expect(requests).toHaveLength(1);
});

test("only pods are targets of a cluster, and info is a node's", async () => {
  const { client } = await createTwoAgents();
  const target = { kind: "netns", netns: "/run/netns/a" } as const;
  await expect(client.list({ target }, signal)).rejects.toEqual(failure("UNSUPPORTED"));
  await expect(client.info(signal)).rejects.toEqual(failure("UNSUPPORTED"));
  const { nodeName, client: node } = await client.nodeOf(podOf("db").pod, signal);
  expect(nodeName).toBe("node-2");
  expect(await node.info(signal)).toMatchObject({ version: expect.any(String) as string });
});

test("a watch joins every agent's, says once that all are synced, and goes on without one that is lost", async () => {
  const failures: PodplugError[] = [];
  const { client, first, second } = await createTwoAgents({ onFailure: (error) => failures.push(error) });
  await attach(client, "web");
  const left = new AbortController();
  const events: InterfaceEvent[] = [];
  const watching = (async () => {
    for await (const event of client.watch({}, left.signal)) events.push(event);
  })();
  const kinds = (): readonly string[] => events.map(({ kind }) => kind);
  await eventually(() => kinds().includes("synced"), "it is synced");
  expect(kinds()).toEqual(["present", "synced"]);
  await attach(client, "db");
  await eventually(() => kinds().includes("attached"), "the change is told");
  await second.server.close(0);
  await eventually(() => failures.length === 1, "the loss is told");
  expect(failures[0]?.message).toContain("node node-2: ");
  const which = { by: "interface", interface: "data0" } as const;
  await client.detach({ target: podOf("web"), which }, signal);
  await eventually(() => kinds().includes("detached"), "the other's change is told");
  left.abort();
  await watching;
  await eventually(() => first.node.watching === 0, "the watch has left");
});

test("without somebody to tell, a watch ends with the first agent that is lost", async () => {
  const { client, second } = await createTwoAgents();
  const watching = (async () => {
    for await (const event of client.watch({}, signal)) {
      if (event.kind === "synced") await second.server.close(0);
    }
  })();
  await expect(watching).rejects.toEqual(failure("AGENT_STOPPING", "node node-2: "));
});

test("what the API server refuses to its user is DENIED in its own words", async () => {
  const { client, server } = await createTwoAgents();
  server.trick(/^GET .*\/pods\/web$/, (_request, response) => {
    response.writeHead(403, { "content-type": "application/json" });
    response.end(JSON.stringify({ message: 'User "dana" cannot get resource "pods"' }));
  });
  await expect(attach(client, "web")).rejects.toEqual(
    failure("DENIED", 'User "dana" cannot get resource "pods"'),
  );
  server.remove(podPath("podplug/agent-1"));
});

test("a token that is about to end is requested anew, and one for an account that isn't is ACCOUNT_NOT_FOUND", async () => {
  const { cluster } = await createTwoAgents();
  let nowMs = Date.now();
  const clock = { ...systemClock, now: () => new Date(nowMs) };
  const tokens = createServiceTokens({ cluster, account, lifetimeSeconds: 600, clock });
  const first = await tokens(signal);
  expect(await tokens(signal)).toBe(first);
  nowMs += 500_000;
  expect(await tokens(signal)).not.toBe(first);
  const nobody = { ...account, name: "nobody" };
  const none = createServiceTokens({ cluster, account: nobody, lifetimeSeconds: 600, clock });
  await expect(none(signal)).rejects.toEqual(failure("ACCOUNT_NOT_FOUND", "demo/nobody"));
  await expect(none(signal)).rejects.toBeInstanceOf(PodplugError);
});
