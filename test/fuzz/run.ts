import fc from "fast-check";
import { expect, onTestFinished } from "vitest";
import { createMemoryGauge } from "../support/memory.ts";

/** `make fuzz` names how many inputs each door gets; else it is as many as come through in a few seconds. */
const runs = Number(process.env["PODPLUG_FUZZ_RUNS"] ?? 0);
const budgetMs = 2_000;

/** Far beyond what any input of these sizes needs on a busy machine. */
const hangMs = 30_000;

/** For a test's own limit: none, when the count is what ends it. */
export const fuzzTimeoutMs = runs > 0 ? 0 : 120_000;

/**
 * Puts inputs through a door, in this process. `feed` throws for what must not
 * happen; beside that no input may hang, leave a promise unhandled or memory
 * behind. `share` is the door's part of the inputs that `make fuzz` asks for.
 */
export async function fuzz<Input>(
  inputs: fc.Arbitrary<Input>,
  feed: (input: Input) => void | Promise<void>,
  { share = 1, maxMiB = 50 }: { readonly share?: number; readonly maxMiB?: number } = {},
): Promise<void> {
  const faults: unknown[] = [];
  const note = (fault: unknown): void => void faults.push(fault);
  process.on("unhandledRejection", note).on("uncaughtException", note);
  onTestFinished(() => {
    process.off("unhandledRejection", note).off("uncaughtException", note);
  });
  const grownMiB = await createMemoryGauge();
  let fed = 0;
  let last: Promise<void> | undefined;
  const feedTimed = async (input: Input): Promise<void> => {
    fed += 1;
    const begun = performance.now();
    await feed(input);
    const ms = performance.now() - begun;
    if (ms > hangMs) throw new Error(`it took ${Math.round(ms)} ms`);
  };
  const property = fc.asyncProperty(inputs, async (input) => {
    last = feedTimed(input);
    await last;
  });
  if (runs > 0) await fc.assert(property, { numRuns: Math.ceil(runs * share) });
  else {
    // However long they take.
    await fc.assert(property, { numRuns: 6, endOnFailure: true });
    await fc.assert(property, {
      numRuns: Number.MAX_SAFE_INTEGER,
      plugins: [fc.interruptAfterTimeLimit(budgetMs)],
      endOnFailure: true,
    });
    // The limit doesn't wait for the input that is being taken.
    await last;
  }
  expect(faults).toEqual([]);
  const grown = Math.round(await grownMiB());
  expect(grown).toBeLessThan(maxMiB);
  if (runs > 0)
    process.stderr.write(`${expect.getState().currentTestName}: ${fed} inputs, ${grown} MiB more held\n`);
}
