import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { KeyQueue, type Outcome, worse } from "../../src/controller/key-queue.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { createRecordingTelemetry } from "../support/recording-telemetry.ts";

function createQueue(work: (key: string) => Promise<Outcome>, maxConcurrent = 8) {
  const delays: number[] = [];
  const timers = new Set<() => void>();
  const { telemetry, sources, happenings } = createRecordingTelemetry();
  let now = 0;
  const queue = new KeyQueue({
    name: "reconcile",
    work,
    maxConcurrent,
    clock: {
      now: () => new Date(0),
      steadyMs: () => now,
      setTimer(delayMs, action) {
        delays.push(delayMs);
        timers.add(action);
        return { [Symbol.dispose]: () => timers.delete(action) };
      },
    },
    random: () => 1,
    log: silentLogger,
    telemetry,
  });
  return {
    queue,
    happenings,
    reading: () => sources.map((source) => (source.kind === "queue" ? source.read() : undefined))[0],
    passTo(time: number): void {
      now = time;
    },
    delays,
    timers,
    async fire(): Promise<void> {
      const due = [...timers];
      timers.clear();
      for (const action of due) action();
      await turn();
    },
  };
}

/** Work that waits until it is let go. */
function createGate() {
  const begun: string[] = [];
  const waiting = new Map<string, (outcome: Outcome) => void>();
  return {
    begun,
    async work(key: string): Promise<Outcome> {
      begun.push(key);
      return await new Promise((resolve) => waiting.set(key, resolve));
    },
    async release(key: string, outcome: Outcome = "done"): Promise<void> {
      waiting.get(key)?.(outcome);
      await turn();
    },
  };
}

test("nothing begins before the queue is open", async () => {
  const gate = createGate();
  const { queue } = createQueue(gate.work);
  queue.add("a");
  await turn();
  expect(gate.begun).toEqual([]);
  queue.open();
  expect(gate.begun).toEqual(["a"]);
});

test("a key that is added while it runs runs once more, and never beside itself", async () => {
  const gate = createGate();
  const { queue } = createQueue(gate.work);
  queue.open();
  for (let times = 0; times < 5; times += 1) queue.add("a");
  expect(gate.begun).toEqual(["a"]);
  await gate.release("a");
  expect(gate.begun).toEqual(["a", "a"]);
  await gate.release("a");
  expect(gate.begun).toEqual(["a", "a"]);
});

test("as many keys run side by side as may, and the others in their order", async () => {
  const gate = createGate();
  const { queue } = createQueue(gate.work, 2);
  queue.open();
  for (const key of ["a", "b", "c", "d"]) queue.add(key);
  expect(gate.begun).toEqual(["a", "b"]);
  await gate.release("b");
  await gate.release("a");
  expect(gate.begun).toEqual(["a", "b", "c", "d"]);
});

test("what fails comes back with a delay that doubles up to a bound, and starts small again after success", async () => {
  const outcomes: Outcome[] = [...Array<Outcome>(8).fill("soon"), "done", "soon"];
  const { queue, delays, fire } = createQueue(async () => outcomes.shift() ?? "done");
  queue.open();
  queue.add("a");
  await turn();
  for (let times = 0; times < 8; times += 1) await fire();
  queue.add("a");
  await turn();
  expect(delays).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 500]);
});

test("what wants to be left alone for a while is, beside its backoff, but no longer than a minute", async () => {
  const outcomes: Outcome[] = [{ soonAfterMs: 5_000 }, { soonAfterMs: 5_000 }, { soonAfterMs: 3_600_000 }];
  const { queue, delays, fire } = createQueue(async () => outcomes.shift() ?? "done");
  queue.open();
  queue.add("a");
  await turn();
  for (let times = 0; times < 3; times += 1) await fire();
  expect(delays).toEqual([5_500, 6_000, 62_000]);
});

test("a nudge doesn't cut short what wants to be left alone, but every other wait; what is added does", async () => {
  const outcomes: Outcome[] = [{ soonAfterMs: 5_000 }, "soon", "done"];
  let runs = 0;
  const { queue, timers } = createQueue(async () => {
    runs += 1;
    return outcomes.shift() ?? "done";
  });
  queue.open();
  queue.add("a");
  await turn();
  queue.nudge("a");
  await turn();
  expect(runs).toBe(1);
  queue.add("a");
  await turn();
  expect(runs).toBe(2);
  queue.nudge("a");
  await turn();
  expect(runs).toBe(3);
  expect(timers.size).toBe(0);
});

test("a nudge while a key runs has it run once more, unless it is to be left alone then", async () => {
  const gate = createGate();
  const { queue, timers } = createQueue(gate.work);
  queue.open();
  queue.add("a");
  queue.nudge("a");
  await gate.release("a");
  expect(gate.begun).toEqual(["a", "a"]);
  queue.nudge("a");
  await gate.release("a", { soonAfterMs: 5_000 });
  expect(gate.begun).toEqual(["a", "a"]);
  expect(timers.size).toBe(1);
});

test("of a pod's failures the one that wants the longest pause decides", () => {
  const later = { soonAfterMs: 5_000 };
  expect(worse("done", "slowly")).toBe("slowly");
  expect(worse("soon", "slowly")).toBe("soon");
  expect(worse("soon", later)).toBe(later);
  expect(worse(later, { soonAfterMs: 1_000 })).toBe(later);
});

test("what throws is tried again", async () => {
  let fails = true;
  const { queue, timers, fire } = createQueue(async () => {
    if (fails) throw new Error("no");
    return "done";
  });
  queue.open();
  queue.add("a");
  await turn();
  expect(timers.size).toBe(1);
  fails = false;
  await fire();
  expect(timers.size).toBe(0);
});

test("a key that is added doesn't wait for its delay", async () => {
  let runs = 0;
  const { queue, timers } = createQueue(async () => {
    runs += 1;
    return "slowly";
  });
  queue.open();
  queue.add("a");
  await turn();
  queue.add("a");
  await turn();
  expect(runs).toBe(2);
  expect(timers.size).toBe(1);
});

test("closing waits for what runs, and begins nothing more", async () => {
  const gate = createGate();
  const { queue, timers } = createQueue(gate.work, 1);
  queue.open();
  for (const key of ["a", "b"]) queue.add(key);
  let closed = false;
  const closing = queue.close().then(() => {
    closed = true;
  });
  await turn();
  expect(closed).toBe(false);
  await gate.release("a", "soon");
  await closing;
  expect(gate.begun).toEqual(["a"]);
  expect(timers.size).toBe(0);
});

test("tells how many keys wait, how many are to be tried again, and how old the oldest is that isn't done", async () => {
  const gate = createGate();
  const { queue, reading, passTo, happenings, fire } = createQueue(gate.work, 1);
  queue.open();
  queue.add("a");
  passTo(1000);
  for (const key of ["b", "c"]) queue.add(key);
  expect(reading()).toEqual({ depth: 2, retrying: 0, oldestAgeMs: 1000 });
  passTo(3000);
  await gate.release("a", "soon");
  expect(reading()).toEqual({ depth: 1, retrying: 1, oldestAgeMs: 3000 });
  expect(happenings).toEqual([{ kind: "retry", queue: "reconcile" }]);
  await gate.release("b", "done");
  await gate.release("c", "done");
  await fire();
  passTo(9000);
  // Tried again, it is as old as when it came first.
  expect(reading()).toEqual({ depth: 0, retrying: 0, oldestAgeMs: 9000 });
  await gate.release("a", "done");
  expect(reading()).toEqual({ depth: 0, retrying: 0, oldestAgeMs: 0 });
});

test("a key that is done and was added meanwhile is as old as its last run", async () => {
  const gate = createGate();
  const { queue, reading, passTo } = createQueue(gate.work);
  queue.open();
  queue.add("a");
  passTo(2000);
  queue.add("a");
  await gate.release("a", "done");
  passTo(2500);
  expect(reading()).toMatchObject({ oldestAgeMs: 500 });
});
