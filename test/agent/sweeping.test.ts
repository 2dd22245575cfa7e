import { expect, test } from "vitest";
import { sweepOften } from "../../src/agent/sweeping.ts";
import { eventually } from "../server/eventually.ts";

test("a sweep that hangs keeps no later one, and is waited for at the end", async () => {
  const stopped = new AbortController();
  const hanging = Promise.withResolvers<void>();
  let swept = 0;
  const sweep = async (): Promise<void> => {
    swept += 1;
    await hanging.promise;
  };
  const pods = {
    async *watch() {
      yield { kind: "changed", key: "demo/web" } as const;
    },
    get: () => undefined,
  };
  let ended = false;
  const sweeping = sweepOften({ sweep, sweepLeftover: sweep }, pods, stopped.signal).then(() => {
    ended = true;
  });
  await eventually(() => swept === 2, "the pod's end is looked after twice");
  stopped.abort();
  await new Promise(setImmediate);
  expect(ended).toBe(false);
  hanging.resolve();
  await sweeping;
});
