import { request } from "node:http";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type ReceivedSpan, startOtlpCollector } from "../support/otlp-collector.ts";
import { startAgentHere } from "./agent-here.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const callerSpan = "b7ad6b7169203331";

async function attach(node: TestNode, netns: string, headers: Record<string, string>): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const sent = request(
    {
      socketPath: node.socket,
      path: "/podplug.v1.NodeService/AttachNetwork",
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
    },
    (response) => {
      text(response).then(resolve, reject);
    },
  );
  sent.once("error", reject);
  sent.end(JSON.stringify({ target: { netns }, network: { name: "blue", interface: "net1" } }));
  return await promise;
}

/** The names of the spans as they lie in each other, from the one whose parent is given. */
function treeOf(spans: readonly ReceivedSpan[], parentSpanId: string | undefined): readonly unknown[] {
  return spans
    .filter((span) => span.parentSpanId === parentSpanId)
    .toSorted((a, b) => (BigInt(a.startTimeUnixNano) < BigInt(b.startTimeUnixNano) ? -1 : 1))
    .map(({ name, spanId }) => [name, ...treeOf(spans, spanId)]);
}

test("a call is a trace of the call, the change, its chain and each plugin, within the caller's own", async () => {
  await using collector = await startOtlpCollector();
  await using node = await makeNode({ config: { otlp: { endpoint: collector.endpoint } } });
  await node.defineNetwork("blue", [node.bridgePlugin(), { type: "tuning", mtu: 1400 }]);
  await using netns = await makeNetns("traces");
  {
    await using _here = await startAgentHere(node);
    const traceparent = `00-${traceId}-${callerSpan}-01`;
    const headers = { traceparent, "x-request-id": "request-7" };
    expect(await attach(node, netns.path, headers)).toContain("attached");
  }
  const spans = collector.spans.filter((span) => span.traceId === traceId);
  expect(treeOf(spans, callerSpan)).toEqual([
    ["AttachNetwork", ["attach", ["chain ADD", ["plugin ADD"], ["plugin ADD"]]]],
  ]);
  const [call, change, plugin] = ["AttachNetwork", "attach", "plugin ADD"].map((name) =>
    spans.find((span) => span.name === name),
  );
  expect(call).toMatchObject({
    kind: 2,
    status: {},
    attributes: {
      "rpc.method": "AttachNetwork",
      "podplug.transport": "unix",
      "podplug.request_id": "request-7",
    },
  });
  expect(change?.attributes).toMatchObject({
    "podplug.network": "blue",
    "podplug.network_type": "bridge",
    "podplug.interface": "net1",
    "podplug.request_id": "request-7",
  });
  expect(plugin?.attributes).toMatchObject({ "podplug.plugin": "bridge", "podplug.verb": "ADD" });
  for (const span of spans) {
    const [start, end] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)];
    expect(start).toBeGreaterThanOrEqual(BigInt(call?.startTimeUnixNano ?? 0));
    expect(end).toBeGreaterThan(start);
    expect(end).toBeLessThanOrEqual(BigInt(call?.endTimeUnixNano ?? 0));
    expect(Math.abs(Number(start / 1_000_000n) - Date.now())).toBeLessThan(60_000);
  }
  expect(collector.resource).toMatchObject({ "service.name": "podplug", "service.version": "0.1.0" });
});

test("what fails is marked with its reason, and what is tried again later is a trace of its own", async () => {
  await using collector = await startOtlpCollector();
  await using plugins = await makePluginDirectory();
  await plugins.add("broken", { ADD: ["exit 1"], DEL: ["exit 1"] });
  const config = { otlp: { endpoint: collector.endpoint } };
  await using node = await makeNode({ binDirs: [plugins.path], config });
  await node.defineNetwork("blue", [{ type: "broken" }]);
  await using netns = await makeNetns("traces");
  {
    await using here = await startAgentHere(node);
    const events = here.client.watch({}, neverAborted)[Symbol.asyncIterator]();
    await events.next();
    expect(await attach(node, netns.path, {})).toContain("PLUGIN_FAILED");
    await plugins.add("broken", {});
    for (let next = await events.next(); ; next = await events.next()) {
      if (next.done || next.value.kind === "detached") break;
    }
    await events.return?.();
  }
  const roots = collector.spans.filter(({ parentSpanId }) => parentSpanId === undefined);
  const failed = roots.find(({ name }) => name === "AttachNetwork");
  expect(failed?.attributes["error.type"]).toBe("PLUGIN_FAILED");
  expect(failed?.status).toMatchObject({ code: 2, message: expect.stringContaining("broken") as string });
  const again = roots.find(({ name }) => name === "undo");
  expect(again?.traceId).not.toBe(failed?.traceId);
  expect(again?.attributes["podplug.request_id"]).toBe(failed?.attributes["podplug.request_id"]);
});

test("a caller that doesn't record its trace gets none recorded here", async () => {
  await using collector = await startOtlpCollector();
  await using node = await makeNode({ config: { otlp: { endpoint: collector.endpoint } } });
  await using netns = await makeNetns("traces");
  {
    await using _here = await startAgentHere(node);
    await attach(node, netns.path, { traceparent: `00-${traceId}-${callerSpan}-00` });
  }
  expect(collector.spans).toEqual([]);
});

test("a collector that is away costs nothing but its traces", async () => {
  await using node = await makeNode({ config: { otlp: { endpoint: "http://127.0.0.1:1" } } });
  await using netns = await makeNetns("traces");
  await using here = await startAgentHere(node);
  expect(await attach(node, netns.path, {})).toContain("attached");
  await here.client.close();
  await here.agent.stop();
  expect(here.log.filter(({ level }) => level === "error")).toEqual([]);
});
