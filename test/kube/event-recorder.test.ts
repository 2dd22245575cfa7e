import { expect, onTestFinished, test } from "vitest";
import { createEventRecorder } from "../../src/kube/event-recorder.ts";
import { eventually } from "../server/eventually.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { createClusterWorld, nodeName } from "./cluster-world.ts";
import { sendStatus } from "./fake-api-server.ts";

const pod = { namespace: "demo", name: "web", uid: "uid-1" };
const added = { type: "Normal", reason: "AddedInterface", message: "added net1 (demo/blue)" } as const;
const collection = "/api/v1/namespaces/demo/events";
const post = /^POST \/api\/v1\/namespaces\/demo\/events$/;

async function createRecorderWorld({ settleMs = 0 } = {}) {
  const world = await createClusterWorld();
  onTestFinished(() => world[Symbol.asyncDispose]());
  const clock = createManualClock();
  const log = createRecordingLog();
  const { client, server } = world;
  const recorder = createEventRecorder({ client, nodeName, clock, log, random: () => 0, settleMs });
  return {
    server,
    clock,
    log,
    recorder,
    events: () => server.paths().map((path) => server.get(path) as unknown as Record<string, unknown>),
    writes: () => server.seen.filter(({ method }) => method !== "GET"),
    warnings: () => log.lines.filter(({ level }) => level === "warn"),
  };
}

test("an event tells which pod, what, when and by whom", async () => {
  const { recorder, events } = await createRecorderWorld();
  recorder.record(pod, added);
  await eventually(() => events().length === 1, "the event is written");
  expect(events()[0]).toMatchObject({
    ...added,
    metadata: { namespace: "demo", name: expect.stringMatching(/^web\.[0-9a-f]{16}$/) },
    involvedObject: { apiVersion: "v1", kind: "Pod", ...pod },
    count: 1,
    firstTimestamp: "2026-01-01T00:00:00Z",
    lastTimestamp: "2026-01-01T00:00:00Z",
    source: { component: "podplug", host: nodeName },
  });
});

test("events leave what people wait for its way, and are written all the same when the agent stops", async () => {
  const { recorder, clock, writes } = await createRecorderWorld({ settleMs: 500 });
  recorder.record(pod, added);
  clock.advance(499);
  expect(writes()).toEqual([]);
  clock.advance(1);
  await eventually(() => writes().length === 1, "the event is written");
  recorder.record({ ...pod, uid: "uid-2" }, added);
  await recorder[Symbol.asyncDispose]();
  expect(writes()).toHaveLength(2);
});

test("the same event again is counted on the first one, at most once a minute", async () => {
  const { recorder, events, writes, clock } = await createRecorderWorld();
  recorder.record(pod, added);
  await eventually(() => events().length === 1, "the event is written");
  for (let again = 0; again < 50; again += 1) recorder.record(pod, added);
  expect(clock.waiting).toBeGreaterThan(0);
  clock.advance(60_000);
  await eventually(() => events()[0]?.["count"] === 51, "the event is counted");
  expect(events()).toHaveLength(1);
  expect(events()[0]?.["lastTimestamp"]).toBe("2026-01-01T00:00:00Z");
  expect(writes().map(({ method }) => method)).toEqual(["POST", "PATCH"]);
});

test("an event that the API server has forgotten is written anew", async () => {
  const { recorder, events, server, clock } = await createRecorderWorld();
  recorder.record(pod, added);
  await eventually(() => events().length === 1, "the event is written");
  for (const path of server.paths()) server.remove(path);
  clock.advance(2 * 3_600_000);
  recorder.record(pod, added);
  await eventually(() => events().length === 1, "the event is written again");
  expect(events()[0]).toMatchObject({ count: 2, lastTimestamp: "2026-01-01T02:00:00Z" });
});

test("a pod's storm of different events is cut off, and another pod isn't the worse for it", async () => {
  const { recorder, events, clock } = await createRecorderWorld();
  for (let one = 0; one < 500; one += 1) recorder.record(pod, { ...added, message: `message ${one}` });
  recorder.record({ ...pod, name: "db", uid: "uid-2" }, added);
  await eventually(() => events().length === 26, "the pods' shares are written");
  clock.advance(60_000);
  recorder.record(pod, { ...added, message: "later" });
  await eventually(() => events().length === 27, "the share comes back with time");
});

test("the node's storm is cut off too", async () => {
  const { recorder, events, clock, writes } = await createRecorderWorld();
  for (let one = 0; one < 2_000; one += 1) recorder.record({ ...pod, uid: `uid-${one}` }, added);
  await eventually(() => events().length === 100, "the node's share is written");
  clock.advance(1_000);
  recorder.record(pod, { ...added, message: "later" });
  await eventually(() => events().length === 101, "the share comes back with time");
  expect(writes()).toHaveLength(101);
});

test("a long message is cut between its characters", async () => {
  const { recorder, events } = await createRecorderWorld();
  recorder.record(pod, { ...added, message: `x${"ü".repeat(1_000)}` });
  await eventually(() => events().length === 1, "the event is written");
  const message = String(events()[0]?.["message"]);
  expect(Buffer.byteLength(message)).toBeLessThanOrEqual(1024);
  expect(message).toMatch(/^xü+…$/);
});

test("a pod with the longest name there is gets its events", async () => {
  const { recorder, events, server } = await createRecorderWorld();
  recorder.record({ ...pod, name: `${"a".repeat(229)}.${"b".repeat(23)}` }, added);
  await eventually(() => events().length === 1, "the event is written");
  const name = server.paths()[0]?.split("/").at(-1);
  expect(name?.length).toBeLessThanOrEqual(253);
  expect(name).toMatch(/^[a-z0-9]+(\.[a-z0-9]+)+$/);
});

test("an API server that is away for a moment gets the event later", async () => {
  const { recorder, events, server, clock, warnings } = await createRecorderWorld();
  server.trick(post, (_request, response) => sendStatus(response, 503, "away"), 2);
  recorder.record(pod, added);
  for (const seen of [1, 2]) {
    await eventually(() => server.seen.length === seen && clock.waiting > 0, "the recorder waits");
    clock.advance(2_000);
  }
  await eventually(() => events().length === 1, "the event is written");
  expect(warnings()).toEqual([]);
});

test("an event that can't be written is told in the log, and the next ones are tried all the same", async () => {
  const { recorder, events, server, warnings } = await createRecorderWorld();
  server.trick(post, (_request, response) => sendStatus(response, 403, "may not create events"));
  recorder.record(pod, added);
  recorder.record(pod, { ...added, message: "another" });
  await eventually(() => events().length === 1, "the other event is written");
  expect(warnings()).toMatchObject([
    { message: "event couldn't be written", facts: { pod: "demo/web", event: "AddedInterface" } },
  ]);
});

test("a namespace that is gone is no trouble", async () => {
  const { recorder, events, server, warnings } = await createRecorderWorld();
  server.trick(post, (_request, response) => sendStatus(response, 404, "no such namespace"));
  recorder.record(pod, added);
  recorder.record(pod, { ...added, message: "another" });
  await eventually(() => events().length === 1, "the other event is written");
  expect(warnings()).toEqual([]);
});

test("the last events are written before the recorder ends, and none after", async () => {
  const { recorder, events } = await createRecorderWorld();
  for (let one = 0; one < 5; one += 1) recorder.record(pod, { ...added, message: `message ${one}` });
  await recorder[Symbol.asyncDispose]();
  recorder.record(pod, added);
  expect(events()).toHaveLength(5);
});

test("an API server that doesn't answer keeps the recorder from ending for its bounded time only", async () => {
  const { recorder, server, clock } = await createRecorderWorld();
  server.trick(post, () => undefined, 10);
  recorder.record(pod, added);
  await eventually(() => server.seen.some(({ path }) => path === collection), "the recorder has asked");
  const ended = recorder[Symbol.asyncDispose]();
  clock.advance(2_000);
  await ended;
});
