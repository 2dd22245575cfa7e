import { expect, test } from "vitest";
import { networkStatusAnnotation, type PodFeed } from "../../src/kube/contract.ts";
import { eventually } from "../server/eventually.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { createRecordingTelemetry } from "../support/recording-telemetry.ts";
import { createClusterWorld, hastyClock, podPath } from "./cluster-world.ts";
import { sendStatus } from "./fake-api-server.ts";

const list = /^GET \/api\/v1\/pods$/;
const watch = /^WATCH \/api\/v1\/pods$/;

async function shows(pods: PodFeed, key: string, version: string | undefined): Promise<void> {
  await eventually(() => pods.get(key)?.resourceVersion === version, `${key} is at ${version}`);
}

/** A world whose feed follows one pod, and is watching. */
async function followed(...options: Parameters<typeof createClusterWorld>) {
  const world = await createClusterWorld(...options);
  const log = createRecordingLog();
  world.setPod("demo/web");
  const { telemetry, happenings } = createRecordingTelemetry();
  const pods = world.startFeed(log, undefined, telemetry);
  await eventually(() => world.server.watches === 1, "the feed watches");
  const asked = (form: "list" | "watch") =>
    world.server.seen.filter(
      ({ path, query }) => path === "/api/v1/pods" && query.has("watch") === (form === "watch"),
    );
  const change = (): string =>
    world.setPod("demo/web", { annotations: { at: `${Math.random()}` } }).metadata.resourceVersion;
  const restarts = (): unknown[] => happenings.map((each) => "cause" in each && each.cause);
  return Object.assign(world, { log, pods, asked, change, restarts });
}

const loud = ({ level }: { readonly level: string }): boolean => level !== "debug";

test("asks for this node's unfinished pods alone, their metadata alone, and for bookmarks", async () => {
  await using world = await followed();
  const [listed] = world.asked("list");
  const [watched] = world.asked("watch");
  const fieldSelector = "spec.nodeName=node-1,status.phase!=Succeeded,status.phase!=Failed";
  expect(listed?.query.get("fieldSelector")).toBe(fieldSelector);
  // From an API server's memory the pods could come as they were some time ago.
  expect(listed?.query.get("resourceVersion")).toBeNull();
  expect(listed?.query.get("limit")).toBeNull();
  expect(listed?.accept).toContain("as=PartialObjectMetadataList");
  expect(watched?.query.get("fieldSelector")).toBe(fieldSelector);
  expect(watched?.query.get("allowWatchBookmarks")).toBe("true");
  expect(Number(watched?.query.get("timeoutSeconds"))).toBeGreaterThanOrEqual(300);
  expect(watched?.accept).toContain("as=PartialObjectMetadata;");
});

test("pods of other nodes and finished ones aren't there, and one that finishes goes", async () => {
  await using world = await followed();
  world.setPod("demo/elsewhere", {}, { nodeName: "node-2" });
  world.setPod("demo/done", {}, { phase: "Succeeded" });
  world.setPod("demo/web", {}, { phase: "Failed" });
  await eventually(() => world.pods.keys().length === 0, "the finished pod goes");
});

test("keeps what podplug reads of a pod, and no annotation besides", async () => {
  await using world = await followed();
  const { metadata } = world.setPod("kube-system/static", {
    labels: { app: "web" },
    annotations: { "k8s.v1.cni.cncf.io/networks": "blue", "kubernetes.io/config.mirror": "hash", large: "…" },
    deletionTimestamp: "2026-01-02T03:04:05Z",
  });
  await shows(world.pods, "kube-system/static", metadata.resourceVersion);
  expect(world.pods.get("kube-system/static")).toEqual({
    namespace: "kube-system",
    name: "static",
    uid: metadata.uid,
    runtimeUid: "hash",
    labels: { app: "web" },
    annotations: { "k8s.v1.cni.cncf.io/networks": "blue" },
    deletionTimestamp: new Date("2026-01-02T03:04:05Z"),
    resourceVersion: metadata.resourceVersion,
  });
});

test("what podplug writes itself is there but not told, and whatever else changes is", async () => {
  await using world = await followed();
  const left = new AbortController();
  const told: string[] = [];
  const reading = (async () => {
    for await (const event of world.pods.watch(left.signal)) told.push(event.kind);
  })();
  const webNow = () => {
    const pod = world.pods.get("demo/web");
    if (!pod) throw new Error("there is no pod");
    return pod;
  };
  await eventually(() => told.includes("synced"), "the feed is synced");
  told.length = 0;
  for (const [before, text] of [
    [undefined, "[1]"],
    ["[1]", "[2]"],
  ] as const) {
    await world.statusWriter.write({ pod: webNow(), before, text }, new AbortController().signal);
    await eventually(() => webNow().annotations[networkStatusAnnotation] === text, `${text} is there`);
  }
  expect(told).toEqual([]);
  // Kubelet's writes show in the version alone; somebody else's text may be an older one of podplug's.
  world.setPod("demo/web", { annotations: { [networkStatusAnnotation]: "[2]" } });
  await eventually(() => told.length === 1, "kubelet's write is told");
  world.setPod("demo/web", { annotations: { [networkStatusAnnotation]: "[1]" } });
  await eventually(() => told.length === 2, "somebody else's text is told");
  left.abort();
  await reading;
});

test("a watch that was cut off goes on from the last version, with what happened meanwhile", async () => {
  await using world = await followed();
  await shows(world.pods, "demo/web", world.change());
  world.server.resetConnections();
  // It may watch again before anybody sees that it doesn't.
  await eventually(() => world.restarts().length === 1, "the watch is cut");
  await shows(world.pods, "demo/web", world.change());
  expect(world.asked("list")).toHaveLength(1);
  expect(world.log.lines.filter(loud)).toEqual([]);
  expect(world.restarts()).toEqual(["failed"]);
});

test("a watch that the server ends is opened again from the last bookmark", async () => {
  await using world = await followed();
  world.server.pass(50);
  world.server.bookmark();
  world.server.endWatches();
  await eventually(() => world.asked("watch").length === 2, "the feed watches again");
  const [first, second] = world.asked("watch").map(({ query }) => Number(query.get("resourceVersion")));
  expect(second).toBe((first ?? 0) + 50);
  expect(world.restarts()).toEqual(["ended"]);
});

test("a version that is too old leads to a new list, by the answer's status or in the watch", async () => {
  await using world = await followed();
  world.server.pass(1);
  world.server.compact();
  world.server.resetConnections();
  await eventually(() => world.asked("list").length === 2, "the feed lists again");
  expect(world.asked("list").at(-1)?.query.get("resourceVersion")).toBeNull();
  await eventually(() => world.server.watches === 1, "the feed watches");
  world.server.writeToWatchers(
    '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n',
  );
  world.server.endWatches();
  await eventually(() => world.asked("list").length === 3, "the feed lists once more");
  expect(world.restarts().at(-1)).toBe("expired");
});

test("an expired token is read anew at once, for the list and for the watch", async () => {
  await using world = await followed();
  await world.setToken("second-token");
  world.server.tokens.clear();
  world.server.tokens.add("second-token");
  world.server.resetConnections();
  await eventually(() => world.server.watches === 1, "the feed watches again");
  await shows(world.pods, "demo/web", world.change());
  expect(world.log.lines.filter(loud)).toEqual([]);
});

test("a token that stays refused is told once, and so is that it is over", async () => {
  await using world = await followed();
  world.server.tokens.clear();
  world.server.resetConnections();
  await eventually(() => world.asked("watch").length > 8, "the feed tries again and again");
  world.server.tokens.add("first-token");
  await shows(world.pods, "demo/web", world.change());
  expect(world.log.lines.filter(loud)).toMatchObject([
    {
      level: "warn",
      message: "can't follow the API server; trying again",
      facts: { reason: "PRIVILEGE_MISSING" },
    },
    { level: "info", message: "following the API server again" },
  ]);
  expect(JSON.stringify(world.log.lines)).not.toContain("first-token");
});

test("an API server that fails or is busy is asked again until it answers", async () => {
  await using world = await createClusterWorld();
  const log = createRecordingLog();
  world.server.trick(list, (_request, response) => sendStatus(response, 503, "starting"), 2);
  world.server.trick(list, (_request, response) => sendStatus(response, 429, "too many requests"));
  world.server.trick(list, (request) => request.socket.destroy());
  world.server.trick(watch, (_request, response) => sendStatus(response, 500, "etcd is away"));
  world.setPod("demo/web");
  const pods = world.startFeed(log);
  await eventually(() => pods.get("demo/web") !== undefined, "the pod is known");
  await eventually(() => world.server.watches === 1, "the feed watches");
  expect(log.lines.filter(({ level }) => level === "warn").length).toBeLessThanOrEqual(2);
});

test("a half-open connection is noticed by its silence, and left", async () => {
  await using world = await followed({ idleMs: 200 });
  const version = world.change();
  await shows(world.pods, "demo/web", version);
  world.server.trick(watch, () => undefined, 2);
  await eventually(() => world.asked("watch").length >= 4, "silent watches are left");
  await shows(world.pods, "demo/web", world.change());
  expect(world.asked("list")).toHaveLength(1);
});

test("an answer that never comes, or stops in the middle, ends with its deadline", async () => {
  await using world = await createClusterWorld({ callMs: 200 });
  world.server.trick(list, () => undefined);
  world.server.trick(list, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write('{"metadata":');
  });
  world.setPod("demo/web");
  const pods = world.startFeed();
  await eventually(() => pods.get("demo/web") !== undefined, "the pod is known");
});

test.each([
  ["no JSON", "garbage\n"],
  ["no event", "[]\n"],
  ["an object without metadata", '{"type":"MODIFIED","object":{}}\n'],
  ["a pod without a name", '{"type":"MODIFIED","object":{"metadata":{"resourceVersion":"5"}}}\n'],
  ["an endless line", "x".repeat(9 * 1024 * 1024)],
])("after a line that is %s, everything is listed anew", async (_what, line) => {
  await using world = await followed();
  world.server.writeToWatchers(line);
  await eventually(() => world.asked("list").length === 2, "the feed lists again");
  await shows(world.pods, "demo/web", world.change());
});

test("a line that comes in pieces, also within a character, is one line", async () => {
  await using world = await followed();
  const metadata = {
    namespace: "demo",
    name: "web",
    uid: "uid-1",
    resourceVersion: "500",
    annotations: { "k8s.v1.cni.cncf.io/networks": "grün" },
  };
  const bytes = Buffer.from(`${JSON.stringify({ type: "MODIFIED", object: { metadata } })}\n\n`);
  const middle = bytes.indexOf("ü") + 1;
  world.server.trick(watch, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write(bytes.subarray(0, middle));
    // Once the first piece is on its way.
    setImmediate(() => setImmediate(() => response.write(bytes.subarray(middle))));
  });
  world.server.endWatches();
  await shows(world.pods, "demo/web", "500");
  expect(world.pods.get("demo/web")?.annotations["k8s.v1.cni.cncf.io/networks"]).toBe("grün");
});

test("of five hundred pods with large annotations only what is read is held", async () => {
  await using world = await createClusterWorld();
  const large = "x".repeat(16 * 1024);
  for (let pod = 0; pod < 500; pod += 1) world.setPod(`demo/pod-${pod}`, { annotations: { large } });
  const pods = world.startFeed();
  await eventually(() => world.server.watches === 1, "the feed watches");
  expect(pods.keys()).toHaveLength(500);
  const held = JSON.stringify(pods.keys().map((key) => pods.get(key)));
  expect(held.length).toBeLessThan(500 * 250);
});

test("a cluster that went back in time, which no watch tells, is noticed by a list now and then", async () => {
  let aheadMs = 0;
  const clock = { ...hastyClock, steadyMs: () => performance.now() + aheadMs };
  await using world = await createClusterWorld();
  world.setPod("demo/web");
  world.setPod("demo/since-then");
  const pods = world.startFeed(undefined, clock);
  await eventually(() => world.server.watches === 1, "the feed watches");
  world.server.restore(["demo/since-then"].map(podPath), 50);
  world.server.endWatches();
  await eventually(() => world.server.watches === 1, "the feed watches again");
  expect(pods.keys()).toHaveLength(2);
  aheadMs = 31 * 60_000;
  world.server.endWatches();
  await eventually(() => pods.keys().length === 1, "the pod that never was goes");
  const lists = world.server.seen.filter(({ query }) => !query.has("watch"));
  expect(lists.map(({ query }) => query.get("resourceVersionMatch"))).toEqual([null, "NotOlderThan", null]);
});

test("one connection serves the watch and another all calls", async () => {
  await using world = await followed();
  const pod = world.pods.get("demo/web");
  if (!pod) throw new Error("no pod");
  let before: string | undefined;
  for (let write = 0; write < 20; write += 1) {
    const text = `[${write}]`;
    const answer = await world.statusWriter.write({ pod, before, text }, new AbortController().signal);
    expect(answer.kind).toBe("written");
    before = text;
  }
  expect(world.server.connections).toBe(2);
});

test("a feed that is closed leaves nothing behind, at whatever it was", async () => {
  await using world = await createClusterWorld();
  world.setPod("demo/web");
  const watching = world.startFeed();
  await eventually(() => world.server.watches === 1, "the feed watches");
  const reader = watching.watch(new AbortController().signal)[Symbol.asyncIterator]();
  await reader.next();
  await reader.next();
  const waiting = reader.next();
  await watching[Symbol.asyncDispose]();
  expect(await waiting).toMatchObject({ done: true });
  await eventually(() => world.server.watches === 0, "the watch is closed");

  world.server.trick(list, () => undefined);
  const listing = world.startFeed();
  await eventually(() => world.server.seen.length === 3, "the feed lists");
  await listing[Symbol.asyncDispose]();

  world.server.trick(list, (_request, response) => sendStatus(response, 503, "away"), 100);
  const patient = {
    now: () => new Date(),
    steadyMs: () => performance.now(),
    setTimer: () => ({ [Symbol.dispose]() {} }),
  };
  const pausing = world.startFeed(undefined, patient);
  await eventually(() => world.server.seen.length === 4, "the feed has asked");
  await pausing[Symbol.asyncDispose]();
  expect(world.server.watches).toBe(0);
  expect(world.server.get(podPath("demo/web"))).toBeDefined();
});
