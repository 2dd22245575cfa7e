import fc from "fast-check";
import { test } from "vitest";
import { commands } from "./commands.ts";
import { createModelNode } from "./node.ts";

/*
 * A real engine with its real journal against a model that knows what must be
 * true: after whatever happened, each attachment is whole or gone. A failure
 * is told as the shortest story that leads to it. More of them:
 * PODPLUG_MODEL_RUNS=5000, and the seed that a failure tells: PODPLUG_MODEL_SEED.
 */

const numRuns = Number(process.env["PODPLUG_MODEL_RUNS"] ?? 100);
const seed = process.env["PODPLUG_MODEL_SEED"];

test("whatever is asked, fails or is done by others, each attachment is whole or gone in the end", {
  timeout: 30_000 + numRuns * 1000,
}, async () => {
  const property = fc.asyncProperty(commands, async (story) => {
    await using node = await createModelNode();
    await fc.asyncModelRun(() => ({ model: { held: [], foreign: [] }, real: node }), story);
  });
  await fc.assert(property, { numRuns, ...(seed !== undefined && { seed: Number(seed) }) });
});
