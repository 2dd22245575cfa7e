import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "./support/cluster.ts";

const root = join(import.meta.dirname, "../..");

test("every command of the tutorial can be typed as it stands, and plugs and unplugs as it says", async () => {
  const page = await readFile(join(root, "docs/tutorial.md"), "utf8");
  const blocks = Array.from(
    page.matchAll(/^```console\n(?<text>[\s\S]*?)^```/gm),
    ({ groups }) => groups?.["text"] ?? "",
  );
  const commands = blocks.flatMap((block) =>
    block
      .split("\n")
      .filter((line) => line.startsWith("$ "))
      .map((line) => line.slice(2)),
  );
  expect(commands.length).toBeGreaterThan(20);
  // Whatever fails, the agent doesn't stay.
  const script = [
    "set -e",
    "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
    `cd '${root}'`,
    ...commands,
    "wait",
  ];
  const output = await run("bash", ["-c", script.join("\n")]);
  expect(output).toMatch(/inet 10\.42\.0\.\d+\/24 /);
  expect(output).toContain("1 packets received");
  expect(output).toMatch(/net1 +default\/data +10\.42\.0\.\d+\/24 +\S+ +attached/);
  expect(output).toMatch(/AddedInterface +added interface net1 to network default\/data/);
  const links = output.slice(output.indexOf("1: lo: "));
  expect(links.slice(0, links.indexOf("NAME "))).not.toContain("net1");
  expect(output).toMatch(/detached data0 \(default\/data\)/);
  const pods = output.match(/^web-\S+ +1\/1 +Running +0 /gm) ?? [];
  expect(pods).toHaveLength(4);
  expect(new Set(pods).size).toBe(2);
});
