import { expect } from "vitest";
import type { Reason } from "../../src/domain/reasons.ts";

/** What equals a PodplugError of this reason whose message has this in it: `rejects.toEqual(failure(…))`. */
export function failure(reason: Reason, inMessage = ""): unknown {
  const message: unknown = expect.stringContaining(inMessage);
  return expect.objectContaining({ name: "PodplugError", reason, message });
}
