import { expect, test } from "vitest";
import { createMetrics } from "../src/metrics.ts";

async function linesOf(metrics: ReturnType<typeof createMetrics>): Promise<readonly string[]> {
  return (await metrics.page()).text.split("\n");
}

test("users' plugin types make no series without end: past fifty they are told together", async () => {
  const metrics = createMetrics({ version: "1" });
  for (let index = 0; index < 60; index += 1) {
    metrics.ended({ kind: "plugin", type: `type-${index}`, verb: "ADD" }, 0.1);
  }
  const runs = (await linesOf(metrics)).filter((line) => line.startsWith("podplug_plugin_runs_total{"));
  expect(runs).toHaveLength(51);
  expect(runs).toContain('podplug_plugin_runs_total{plugin="other",verb="ADD",outcome="success"} 10');
});

test("a label can't be left by what stands in it", async () => {
  const metrics = createMetrics({ version: "1" });
  metrics.ended({ kind: "plugin", type: 'a"} 1\nb', verb: "ADD" }, 0.1);
  const runs = (await linesOf(metrics)).filter((line) => line.startsWith("podplug_plugin_runs_total{"));
  expect(runs).toEqual(['podplug_plugin_runs_total{plugin="a\\"} 1\\nb",verb="ADD",outcome="success"} 1']);
});

test("queues and records are read when somebody looks", async () => {
  const metrics = createMetrics({ version: "1" });
  let oldestAgeMs = 1500;
  metrics.watch({
    kind: "queue",
    name: "reconcile",
    read: () => ({ depth: 3, retrying: 2, oldestAgeMs }),
  });
  metrics.watch({ kind: "records", read: () => new Map([["attached", 7]]) });
  const first = await linesOf(metrics);
  expect(first).toContain('podplug_workqueue_depth{name="reconcile"} 3');
  expect(first).toContain('podplug_workqueue_retrying{name="reconcile"} 2');
  expect(first).toContain('podplug_workqueue_oldest_age_seconds{name="reconcile"} 1.5');
  expect(first).toContain('podplug_attachments{state="attached"} 7');
  oldestAgeMs = 0;
  expect(await linesOf(metrics)).toContain('podplug_workqueue_oldest_age_seconds{name="reconcile"} 0');
});

test("a call's code is its reason's, unless it is told", async () => {
  const metrics = createMetrics({ version: "1" });
  const call = { kind: "call", method: "AttachNetwork", transport: "process", requestId: "r" } as const;
  for (const failure of [
    { reason: "NETWORK_NOT_FOUND", message: "" },
    { reason: "INTERNAL", message: "", code: "unknown" },
    { reason: "WORD_OF_ANOTHER_VERSION", message: "" },
  ]) {
    metrics.began(call);
    metrics.ended(call, 0.1, failure);
  }
  const lines = await linesOf(metrics);
  for (const code of ["not_found", "unknown", "internal"]) {
    expect(lines).toContain(
      `podplug_rpc_requests_total{method="AttachNetwork",code="${code}",transport="process"} 1`,
    );
  }
  expect(lines).toContain('podplug_rpc_failures_total{method="AttachNetwork",reason="INTERNAL"} 2');
});
