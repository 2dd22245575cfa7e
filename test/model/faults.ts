import fc from "fast-check";
import type { FailingPlugins, Fault } from "./node.ts";

const failingPlugins: fc.Arbitrary<FailingPlugins> = fc
  .record({
    add: fc.option(fc.nat(2), { nil: undefined }),
    del: fc.option(fc.nat(2), { nil: undefined }),
  })
  .map((verbs) => ({ kind: "plugins", ...verbs }) as const);

/** What may go wrong during an act. */
export const fault: fc.Arbitrary<Fault> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ kind: "none" } as const) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("killed" as const),
      atCall: fc.integer({ min: 1, max: 30 }),
      recovery: fc.option(failingPlugins, { nil: undefined, freq: 2 }),
    }),
  },
  {
    weight: 2,
    arbitrary: failingPlugins,
  },
  {
    weight: 1,
    arbitrary: fc.nat(8).map((fromStep) => ({ kind: "disk-full", fromStep }) as const),
  },
);

/** The fault in words. */
export function during(what: Fault): string | undefined {
  switch (what.kind) {
    case "none":
      return undefined;
    case "killed":
      return [`killed at call ${what.atCall}`, what.recovery && `recovered ${during(what.recovery)}`]
        .filter(Boolean)
        .join(", ");
    case "plugins": {
      const verbs = (["add", "del"] as const).filter((verb) => what[verb] !== undefined);
      return verbs
        .map((verb) => `while ${verb.toUpperCase()} fails after ${what[verb]} of its steps`)
        .join(" and ");
    }
    case "disk-full":
      return `while the disk is full from step ${what.fromStep} on`;
  }
}
