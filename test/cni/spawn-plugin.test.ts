import { describe } from "vitest";
import { createSpawnExec } from "../../src/cni/spawn-plugin.ts";
import { systemClock as clock } from "../../src/domain/clock.ts";
import { execPluginContract } from "../contracts/exec-plugin.ts";

describe("by node:child_process", () => {
  execPluginContract(() => createSpawnExec({ clock }));
});
