import { expect, test } from "vitest";
import type { Pod } from "../../src/domain/pod.ts";
import {
  type DefinitionReader,
  networkStatusAnnotation,
  type PodEvent,
  type PodFeed,
  type PodStatusWriter,
} from "../../src/kube/contract.ts";
import { failure } from "../support/failure.ts";

const { signal } = new AbortController();

/** A cluster without pods, and a hand that changes them. */
export interface PodWorld extends AsyncDisposable {
  readonly pods: PodFeed;
  readonly statusWriter: PodStatusWriter;
  /** Adds a pod to the node, or changes it, and returns its resourceVersion. */
  setPod(
    key: string,
    facts?: { readonly uid?: string; readonly annotations?: Record<string, string> },
  ): string;
  removePod(key: string): void;
}

const networks = "k8s.v1.cni.cncf.io/networks";

/** Reads along; `until` resolves with all that was told up to the event that fulfils the condition. */
function readerOf(pods: PodFeed, leave: AbortSignal = signal) {
  const events = pods.watch(leave)[Symbol.asyncIterator]();
  return {
    async until(isLast: (event: PodEvent) => boolean): Promise<readonly string[]> {
      const told: string[] = [];
      for (;;) {
        const { value, done } = await events.next();
        if (done) throw new Error(`the feed ended after ${told.join(", ")}`);
        told.push(value.kind === "changed" ? value.key : value.kind);
        if (isLast(value)) return told;
      }
    },
    next: () => events.next(),
  };
}
const isSynced = ({ kind }: PodEvent): boolean => kind === "synced";

export function podFeedContract(makeWorld: () => Promise<PodWorld>): void {
  test("tells every pod there is, then that it is synced", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web", { annotations: { [networks]: "blue" } });
    world.setPod("demo/db");
    const told = await readerOf(world.pods).until(
      (event) => isSynced(event) && world.pods.keys().length === 2,
    );
    expect(told).toEqual(expect.arrayContaining(["synced"]));
    expect(world.pods.keys().toSorted()).toEqual(["demo/db", "demo/web"]);
    expect(world.pods.get("demo/web")).toMatchObject({
      namespace: "demo",
      name: "web",
      annotations: { [networks]: "blue" },
    });
    expect(world.pods.get("demo/other")).toBeUndefined();
    expect(world.pods.isSynced()).toBe(true);
  });

  test("tells a pod that came, changed and went, with its state at hand", async () => {
    await using world = await makeWorld();
    const reader = readerOf(world.pods);
    await reader.until(isSynced);
    const version = world.setPod("demo/web");
    await reader.until(() => world.pods.get("demo/web")?.resourceVersion === version);
    world.setPod("demo/web", { annotations: { [networks]: "blue" } });
    await reader.until(() => world.pods.get("demo/web")?.annotations[networks] === "blue");
    world.removePod("demo/web");
    await reader.until(() => world.pods.get("demo/web") === undefined);
    expect(world.pods.keys()).toEqual([]);
  });

  test("remembers which pods have left, by their UIDs", async () => {
    await using world = await makeWorld();
    const reader = readerOf(world.pods);
    for (const uid of ["first", "second"]) {
      world.setPod("demo/web", { uid });
      await reader.until(() => world.pods.get("demo/web")?.uid === uid);
    }
    expect(["first", "second", "never"].map((uid) => world.pods.hasLeft(uid))).toEqual([true, false, false]);
    world.removePod("demo/web");
    await reader.until(() => world.pods.get("demo/web") === undefined);
    expect(world.pods.hasLeft("second")).toBe(true);
    world.setPod("demo/web", { uid: "second" });
    await reader.until(() => world.pods.get("demo/web") !== undefined);
    expect(world.pods.hasLeft("second")).toBe(false);
  });

  test("a pod of the same name with another UID is a change", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web", { uid: "first" });
    const reader = readerOf(world.pods);
    await reader.until(() => world.pods.get("demo/web")?.uid === "first");
    world.removePod("demo/web");
    world.setPod("demo/web", { uid: "second" });
    await reader.until(() => world.pods.get("demo/web")?.uid === "second");
  });

  test("a reader that takes its time gets each key once", async () => {
    await using world = await makeWorld();
    const slow = readerOf(world.pods);
    await slow.until(isSynced);
    const quick = readerOf(world.pods);
    const versions = Array.from({ length: 20 }, () => world.setPod("demo/web"));
    await quick.until(() => world.pods.get("demo/web")?.resourceVersion === versions.at(-1));
    world.setPod("demo/last");
    const told = await slow.until((event) => event.kind === "changed" && event.key === "demo/last");
    expect(told).toEqual(["demo/web", "demo/last"]);
  });

  test("a reader that leaves ends, alone and also while it waits", async () => {
    await using world = await makeWorld();
    const leaving = new AbortController();
    const reader = readerOf(world.pods, leaving.signal);
    await reader.until(isSynced);
    const waiting = reader.next();
    leaving.abort();
    expect(await waiting).toMatchObject({ done: true });
    const other = readerOf(world.pods);
    world.setPod("demo/web");
    await other.until(() => world.pods.get("demo/web") !== undefined);
    const gone = readerOf(world.pods, AbortSignal.abort());
    expect(await gone.next()).toMatchObject({ done: true });
  });
}

export function statusWriterContract(makeWorld: () => Promise<PodWorld>): void {
  async function podOf(world: PodWorld, key: string): Promise<Pod> {
    await readerOf(world.pods).until(() => world.pods.get(key) !== undefined);
    const pod = world.pods.get(key);
    if (!pod) throw new Error(`no pod ${key}`);
    return pod;
  }

  test("writes the first text of a pod without annotations, then the next one", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web");
    const pod = await podOf(world, "demo/web");
    const first = await world.statusWriter.write({ pod, before: undefined, text: "[1]" }, signal);
    expect(first).toMatchObject({
      kind: "written",
      pod: { annotations: { [networkStatusAnnotation]: "[1]" } },
    });
    const second = await world.statusWriter.write({ pod, before: "[1]", text: "[2]" }, signal);
    expect(second).toMatchObject({
      kind: "written",
      pod: { annotations: { [networkStatusAnnotation]: "[2]" } },
    });
  });

  test("a text with characters that a print may escape is written, and written over", async () => {
    await using world = await makeWorld();
    const texts = ['[{"gateway":["<nil>"]}]', '[{"gateway":["\\u003cnil\\u003e"]}]', '["a&b \u2028"]', "[]"];
    const [first = "", ...others] = texts;
    world.setPod("demo/web", { annotations: { [networkStatusAnnotation]: first } });
    const pod = await podOf(world, "demo/web");
    let before = first;
    for (const text of others) {
      expect(await world.statusWriter.write({ pod, before, text }, signal)).toMatchObject({
        kind: "written",
        pod: { annotations: { [networkStatusAnnotation]: text } },
      });
      before = text;
    }
  });

  test("keeps every other annotation", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web", { annotations: { [networks]: "blue", [networkStatusAnnotation]: "[]" } });
    const pod = await podOf(world, "demo/web");
    const answer = await world.statusWriter.write({ pod, before: "[]", text: "[1]" }, signal);
    const annotations = { [networks]: "blue", [networkStatusAnnotation]: "[1]" };
    expect(answer).toMatchObject({ kind: "written", pod: { annotations } });
  });

  test("writes over changes elsewhere in the pod, with a text there before or without", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web", { annotations: { [networks]: "blue" } });
    const pod = await podOf(world, "demo/web");
    world.setPod("demo/web", { annotations: { [networks]: "red" } });
    const first = await world.statusWriter.write({ pod, before: undefined, text: "[1]" }, signal);
    const annotations = { [networks]: "red", [networkStatusAnnotation]: "[1]" };
    expect(first).toMatchObject({ kind: "written", pod: { annotations } });
    world.setPod("demo/web", { annotations: { ...annotations, [networks]: "green" } });
    const second = await world.statusWriter.write({ pod, before: "[1]", text: "[2]" }, signal);
    expect(second).toMatchObject({ kind: "written", pod: { annotations: { [networks]: "green" } } });
  });

  test.each([[undefined], ["[]"]])(
    "never writes over another one's text (known before: %s)",
    async (before) => {
      await using world = await makeWorld();
      const annotations = before === undefined ? {} : { [networkStatusAnnotation]: before };
      world.setPod("demo/web", { annotations });
      const pod = await podOf(world, "demo/web");
      world.setPod("demo/web", { annotations: { [networkStatusAnnotation]: "[theirs]" } });
      const answer = await world.statusWriter.write({ pod, before, text: "[ours]" }, signal);
      const theirs = { annotations: { [networkStatusAnnotation]: "[theirs]" } };
      expect(answer).toMatchObject({ kind: "conflict", pod: theirs });
      if (answer.kind !== "conflict") return;
      const again = { pod: answer.pod, before: "[theirs]", text: "[both]" };
      expect(await world.statusWriter.write(again, signal)).toMatchObject({ kind: "written" });
    },
  );

  test("a text that the pod has already is written", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web", { annotations: { [networkStatusAnnotation]: "[1]" } });
    const pod = await podOf(world, "demo/web");
    for (const before of [undefined, "[]", "[1]"]) {
      const answer = await world.statusWriter.write({ pod, before, text: "[1]" }, signal);
      expect(answer).toMatchObject({ kind: "written" });
    }
  });

  test("a pod that is gone, or another one of its name, is left alone", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web", { uid: "first", annotations: { [networkStatusAnnotation]: "[]" } });
    const pod = await podOf(world, "demo/web");
    world.removePod("demo/web");
    for (const before of [undefined, "[]"]) {
      expect(await world.statusWriter.write({ pod, before, text: "[1]" }, signal)).toEqual({ kind: "gone" });
    }
    world.setPod("demo/web", { uid: "second" });
    for (const before of [undefined, "[]"]) {
      expect(await world.statusWriter.write({ pod, before, text: "[1]" }, signal)).toEqual({ kind: "gone" });
    }
  });

  test("nothing is written for a caller that has gone", async () => {
    await using world = await makeWorld();
    world.setPod("demo/web");
    const pod = await podOf(world, "demo/web");
    const write = { pod, before: undefined, text: "[1]" };
    await expect(world.statusWriter.write(write, AbortSignal.abort())).rejects.toEqual(failure("CANCELED"));
  });
}

/** A cluster without definitions, and a hand that makes them. */
export interface DefinitionWorld extends AsyncDisposable {
  readonly definitions: DefinitionReader;
  define(namespace: string, name: string, config: string): void;
  defineKaloom(
    namespace: string,
    name: string,
    spec: { readonly plugin: string; readonly config: string },
  ): void;
}

export function definitionReaderContract(makeWorld: () => Promise<DefinitionWorld>): void {
  test("reads a definition as it is now, each time", async () => {
    await using world = await makeWorld();
    const read = () => world.definitions.netAttachDef("demo", "blue", signal);
    expect(await read()).toBeUndefined();
    world.define("demo", "blue", "{}");
    expect(await read()).toMatchObject({ namespace: "demo", name: "blue", config: "{}" });
    world.define("demo", "blue", "");
    expect(await read()).toMatchObject({ config: "" });
    expect(await world.definitions.netAttachDef("other", "blue", signal)).toBeUndefined();
    expect(await world.definitions.kaloomNetwork("demo", "blue", signal)).toBeUndefined();
  });

  test("reads Kaloom's networks", async () => {
    await using world = await makeWorld();
    world.defineKaloom("default", "green", { plugin: "bridge", config: '[{"type":"bridge"}]' });
    expect(await world.definitions.kaloomNetwork("default", "green", signal)).toMatchObject({
      namespace: "default",
      name: "green",
      plugin: "bridge",
      config: '[{"type":"bridge"}]',
    });
  });

  test("reads nothing for a caller that has gone", async () => {
    await using world = await makeWorld();
    const gone = AbortSignal.abort();
    await expect(world.definitions.netAttachDef("demo", "blue", gone)).rejects.toEqual(failure("CANCELED"));
  });
}
