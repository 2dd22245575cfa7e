import { expect, test } from "vitest";
import { createHealth, runtimeAnswers } from "../../src/agent/health.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { SandboxLocator } from "../../src/sandbox/contract.ts";

test("a process that has lost a part is alive no more, and says which", async () => {
  const health = createHealth();
  expect(await health.live["parts"]?.(neverAborted)).toBeUndefined();
  health.lost("the controller");
  expect(await health.live["parts"]?.(neverAborted)).toBe("the controller ended by a fault; see the log");
});

test("many probes at once ask the runtime once, and all hear what it said", async () => {
  let asked = 0;
  const sandboxes: Pick<SandboxLocator, "describe"> = {
    async describe() {
      asked += 1;
      throw new PodplugError("UNREACHABLE", "nobody there");
    },
  };
  const check = runtimeAnswers(sandboxes);
  const answers = await Promise.allSettled(Array.from({ length: 10 }, async () => check(neverAborted)));
  expect(asked).toBe(1);
  expect(answers.every((answer) => answer.status === "rejected")).toBe(true);
});
