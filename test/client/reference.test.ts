import { expect, test } from "vitest";
import { cli } from "./cli-in-memory.ts";

test.each([
  "attach",
  "detach",
  "list",
  "watch",
  "check",
  "top",
  "info",
  "agent",
  "certificates",
  "completion",
])("%s --help has examples", async (command) => {
  const { code, stdout, stderr } = await cli([command, "--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain(`Usage: podplug ${command}`);
  expect(stdout).toMatch(/\nExamples:\n(  .*:\n    .*podplug .*\n?)+$/);
  expect((await cli(["help", command])).stdout).toBe(stdout);
});
