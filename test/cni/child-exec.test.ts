import { describe } from "vitest";
import { createChildExec } from "../../src/cni/child-exec.ts";
import { startNodeChild } from "../../src/cni/node-child.ts";
import { createPosixStart } from "../../src/cni/posix-child.ts";
import { loadPosixSpawn } from "../../src/cni/posix-spawn.ts";
import { systemClock as clock } from "../../src/domain/clock.ts";
import { execPluginContract } from "../contracts/exec-plugin.ts";

describe("by node:child_process", () => {
  execPluginContract(() => createChildExec({ start: startNodeChild, clock }));
});

describe("by posix_spawn", async () => {
  const native = await loadPosixSpawn();
  execPluginContract(() => createChildExec({ start: createPosixStart(native), clock }));
});
