import { expect, test } from "vitest";
import { run } from "../server/started-server.ts";
import { cli } from "./cli-in-memory.ts";
import { root } from "./cli-process.ts";

test("docs/cli.md says what the commands' help says", async () => {
  const { code, stderr } = await run(process.execPath, ["scripts/write-cli-docs.ts", "--check"], root);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test.each(["attach", "detach", "list", "watch", "check", "info", "agent", "completion"])(
  "%s --help has examples",
  async (command) => {
    const { code, stdout, stderr } = await cli([command, "--help"]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain(`Usage: podplug ${command}`);
    expect(stdout).toMatch(/\nExamples:\n(  .*:\n    .*podplug .*\n?)+$/);
    expect((await cli(["help", command])).stdout).toBe(stdout);
  },
);
