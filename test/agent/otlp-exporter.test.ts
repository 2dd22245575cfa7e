import { expect, test } from "vitest";
import { createOtlpExporter } from "../../src/agent/otlp-exporter.ts";
import { readTraceparent } from "../../src/agent/traceparent.ts";
import type { FinishedSpan } from "../../src/agent/tracer.ts";
import { eventually } from "../server/eventually.ts";
import { startOtlpCollector } from "../support/otlp-collector.ts";
import { createRecordingLog } from "../support/recording-log.ts";

function spanOf(index: number): FinishedSpan {
  return {
    traceId: "1".repeat(32),
    spanId: index.toString(16).padStart(16, "0"),
    name: "AttachNetwork",
    kind: "server",
    startNs: 1_764_300_000_123_456_789n,
    endNs: 1_764_300_000_223_456_789n,
    attributes: {},
  };
}

async function startWorld() {
  await using cleanup = new AsyncDisposableStack();
  const collector = cleanup.use(await startOtlpCollector());
  const log = createRecordingLog();
  const delays: number[] = [];
  let due: (() => void) | undefined;
  const exporter = createOtlpExporter({
    endpoint: `${collector.endpoint}/`,
    resource: { "service.name": "podplug" },
    clock: {
      now: () => new Date(0),
      steadyMs: () => 0,
      setTimer(delayMs, action) {
        delays.push(delayMs);
        due = action;
        return { [Symbol.dispose]: () => (due = undefined) };
      },
    },
    log,
  });
  const held = cleanup.move();
  return {
    collector,
    exporter,
    delays,
    lines: () => log.lines.map(({ level, message }) => `${level} ${message}`),
    facts: () => log.lines.map(({ facts }) => facts),
    /** Lets the time pass to the next sending, and waits until it was tried. */
    async pass(): Promise<void> {
      const { requests } = collector;
      const action = due;
      due = undefined;
      action?.();
      await eventually(() => collector.requests > requests, "it was sent");
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

test("spans are sent together, a few seconds after the first", async () => {
  await using world = await startWorld();
  const { exporter, collector, delays, pass } = world;
  for (let index = 1; index <= 3; index += 1) exporter.push(spanOf(index));
  expect({ delays, requests: collector.requests }).toEqual({ delays: [5000], requests: 0 });
  await pass();
  await eventually(() => collector.spans.length === 3, "they came");
  expect(collector.requests).toBe(1);
  expect(collector.spans[0]).toMatchObject({
    kind: 2,
    startTimeUnixNano: "1764300000123456789",
    endTimeUnixNano: "1764300000223456789",
  });
});

test("what a busy collector doesn't take is sent again, later and later, and told once", async () => {
  await using world = await startWorld();
  const { exporter, collector, delays, pass, lines } = world;
  collector.answerWith(503);
  exporter.push(spanOf(1));
  await pass();
  await eventually(() => delays.length === 2, "it waits");
  await pass();
  await eventually(() => delays.length === 3, "it waits again");
  collector.answerWith(200);
  await pass();
  await eventually(() => lines().length === 2, "it is told");
  expect(collector.spans).toHaveLength(1);
  expect(delays).toEqual([5000, 10_000, 20_000]);
  expect(lines()).toEqual(["warn traces can't be sent; it is tried again", "info traces are sent again"]);
});

test("what a collector refuses is dropped", async () => {
  await using world = await startWorld();
  const { exporter, collector, delays, pass, lines } = world;
  collector.answerWith(400);
  exporter.push(spanOf(1));
  await pass();
  await eventually(() => lines().length === 1, "it is told");
  collector.answerWith(200);
  exporter.push(spanOf(2));
  await eventually(() => delays.length === 2, "the next is due");
  await pass();
  await eventually(() => collector.spans.length === 1, "the next came");
  expect(collector.spans[0]?.spanId).toBe(spanOf(2).spanId);
  expect(lines()).toEqual(["warn the collector refused traces"]);
});

test("while nothing is taken only so many wait, and how many were dropped is told", async () => {
  await using world = await startWorld();
  const { exporter, collector, pass, lines, facts } = world;
  for (let index = 1; index <= 5000; index += 1) exporter.push(spanOf(index));
  await pass();
  await eventually(() => lines().length === 1, "all are sent");
  await eventually(() => collector.spans.length === 4096, "they came");
  expect(facts()).toMatchObject([{ dropped: 904 }]);
});

test("at its end it sends what waits", async () => {
  await using world = await startWorld();
  world.exporter.push(spanOf(1));
  await world.exporter[Symbol.asyncDispose]();
  expect(world.collector.spans).toHaveLength(1);
});

test.each([
  ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true],
  ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-02", false],
  ["cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes", true],
])("traceparent %s is read", (header, sampled) => {
  expect(readTraceparent(header)).toEqual({
    traceId: "0af7651916cd43dd8448eb211c80319c",
    spanId: "b7ad6b7169203331",
    sampled,
  });
});

test.each([
  undefined,
  "",
  "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
  "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "00-00000000000000000000000000000000-b7ad6b7169203331-01",
  "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
  "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
])("traceparent %j is none", (header) => {
  expect(readTraceparent(header)).toBeUndefined();
});
