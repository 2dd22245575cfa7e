import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Gate } from "../../src/attachments/gate.ts";
import { Lanes } from "../../src/attachments/lanes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createManualClock } from "../support/manual-clock.ts";

test("work in one lane runs one after the other, in the order it came", async () => {
  const lanes = new Lanes();
  const trace: string[] = [];
  const first = Promise.withResolvers<void>();
  const work = [
    lanes.run(
      "a",
      async () => {
        trace.push("1 begins");
        await first.promise;
        trace.push("1 ends");
      },
      neverAborted,
    ),
    lanes.run(
      "a",
      async () => {
        trace.push("2");
      },
      neverAborted,
    ),
  ];
  await turn();
  expect(trace).toEqual(["1 begins"]);
  first.resolve();
  await Promise.all(work);
  expect(trace).toEqual(["1 begins", "1 ends", "2"]);
});

test("lanes don't wait for each other, and a failure doesn't stop the next in its lane", async () => {
  const lanes = new Lanes();
  const held = Promise.withResolvers<void>();
  const slow = lanes.run("a", () => held.promise, neverAborted);
  expect(await lanes.run("b", async () => "b", neverAborted)).toBe("b");
  const failed = lanes.run("b", async () => Promise.reject(new Error("no")), neverAborted);
  await expect(failed).rejects.toThrow("no");
  expect(await lanes.run("b", async () => "again", neverAborted)).toBe("again");
  held.resolve();
  await slow;
});

test("a caller that leaves while waiting never begins", async () => {
  const lanes = new Lanes();
  const held = Promise.withResolvers<void>();
  const slow = lanes.run("a", () => held.promise, neverAborted);
  const leaving = new AbortController();
  let began = false;
  const waiting = lanes.run(
    "a",
    async () => {
      began = true;
    },
    leaving.signal,
  );
  leaving.abort();
  await expect(waiting).rejects.toMatchObject({ reason: "CANCELED" });
  held.resolve();
  await slow;
  await lanes.idle();
  expect(began).toBe(false);
});

test("a caller that leaves while its work runs stops waiting, and the work goes on", async () => {
  const lanes = new Lanes();
  const held = Promise.withResolvers<void>();
  const leaving = new AbortController();
  let ended = false;
  const running = lanes.run(
    "a",
    async () => {
      await held.promise;
      ended = true;
    },
    leaving.signal,
  );
  await turn();
  leaving.abort(new DOMException("late", "TimeoutError"));
  await expect(running).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  held.resolve();
  await lanes.idle();
  expect(ended).toBe(true);
});

function createGate(capacity: number, clock = createManualClock()): Gate {
  return new Gate({ capacity, clock });
}

test("a gate admits as many as it has places, and the others in their order", async () => {
  const gate = createGate(2);
  const held = [Promise.withResolvers<void>(), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const began: number[] = [];
  const work = held.map((each, index) =>
    gate.shared(async () => {
      began.push(index);
      await each.promise;
    }),
  );
  await turn();
  expect(began).toEqual([0, 1]);
  held[1]?.resolve();
  await work[1];
  await turn();
  expect(began).toEqual([0, 1, 2]);
  for (const each of held) each.resolve();
  await Promise.all(work);
});

test("exclusive work waits for what runs, and holds back what comes later", async () => {
  const gate = createGate(3);
  const held = Promise.withResolvers<void>();
  const trace: string[] = [];
  const before = gate.shared(async () => {
    await held.promise;
    trace.push("before");
  });
  const alone = gate.exclusive(async () => {
    trace.push("alone begins");
    await turn();
    trace.push("alone ends");
  });
  const after = gate.shared(async () => {
    trace.push("after");
  });
  await turn();
  expect(trace).toEqual([]);
  held.resolve();
  await Promise.all([before, alone, after]);
  expect(trace).toEqual(["before", "alone begins", "alone ends", "after"]);
});

test("a gate gives its place back when the work fails", async () => {
  const gate = createGate(1);
  await expect(gate.shared(async () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await gate.shared(async () => "next")).toBe("next");
});

test("slow work gives its place to others, and exclusive work waits for it all the same", async () => {
  const clock = createManualClock();
  const gate = createGate(1, clock);
  const held = Promise.withResolvers<void>();
  const trace: string[] = [];
  const slow = gate.shared(async () => {
    await held.promise;
    trace.push("slow ends");
  });
  const next = gate.shared(async () => {
    trace.push("next");
  });
  await turn();
  clock.advance(999);
  await turn();
  expect(trace).toEqual([]);
  clock.advance(1);
  await next;
  const alone = gate.exclusive(async () => {
    trace.push("alone");
  });
  await turn();
  expect(trace).toEqual(["next"]);
  held.resolve();
  await Promise.all([slow, alone]);
  expect(trace).toEqual(["next", "slow ends", "alone"]);
});

describe("while exclusive work waits for slow work", () => {
  /** In a gate of one place, with slow work in it and exclusive work behind. */
  async function gateWithBoth() {
    const clock = createManualClock();
    const gate = createGate(1, clock);
    const trace: string[] = [];
    const note = (what: string) => async () => void trace.push(what);
    const slow = async () => {
      const held = Promise.withResolvers<void>();
      const done = gate.shared(() => held.promise);
      await turn();
      clock.advance(1_000);
      await turn();
      return async () => {
        held.resolve();
        await done;
      };
    };
    const endSlow = await slow();
    const alone = gate.exclusive(note("alone"));
    await turn();
    return { clock, gate, trace, note, slow, endSlow, alone };
  }

  test("others don't wait behind it", async () => {
    const { gate, trace, note, endSlow, alone } = await gateWithBoth();
    await gate.shared(note("one"));
    await Promise.all([gate.shared(note("two")), gate.shared(note("three"))]);
    expect(trace).toEqual(["one", "two", "three"]);
    await endSlow();
    await alone;
    expect(trace).toEqual(["one", "two", "three", "alone"]);
  });

  test("it is next as soon as no work is slow", async () => {
    const { gate, trace, note, endSlow, alone } = await gateWithBoth();
    const held = Promise.withResolvers<void>();
    const quick = gate.shared(() => held.promise);
    await turn();
    await endSlow();
    const later = gate.shared(note("later"));
    await turn();
    expect(trace).toEqual([]);
    held.resolve();
    await Promise.all([quick, alone, later]);
    expect(trace).toEqual(["alone", "later"]);
  });

  test("it gets its turn although some work is always slow", async () => {
    const { clock, gate, trace, note, slow, endSlow, alone } = await gateWithBoth();
    const endAnother = await slow();
    await endSlow();
    clock.advance(120_000);
    const later = gate.shared(note("later"));
    await turn();
    expect(trace).toEqual([]);
    await endAnother();
    await Promise.all([alone, later]);
    expect(trace).toEqual(["alone", "later"]);
  });
});

test("slow work gives up only so many places", async () => {
  const clock = createManualClock();
  const gate = createGate(2, clock);
  const held = Promise.withResolvers<void>();
  let began = 0;
  const work = Array.from({ length: 200 }, () =>
    gate.shared(async () => {
      began += 1;
      await held.promise;
    }),
  );
  for (let waves = 0; waves < 100; waves += 1) {
    clock.advance(1_000);
    await turn();
  }
  expect(began).toBe(128 + 2);
  held.resolve();
  await Promise.all(work);
  expect(began).toBe(200);
});
