import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig, refuseContradictions } from "../../src/config.ts";

const root = join(import.meta.dirname, "../..");

function blocksOf(page: string): readonly string[] {
  const text = readFileSync(join(root, page), "utf8");
  return Array.from(
    text.matchAll(/^```yaml\n(?<yaml>[\s\S]*?)^```/gm),
    ({ groups }) => groups?.["yaml"] ?? "",
  );
}

test("the configuration page shows every default", () => {
  const yaml = blocksOf("docs/configuration.md").at(-1) ?? "";
  expect(parseConfig(yaml, "docs/configuration.md")).toEqual(parseConfig("", "nothing"));
});

test("the examples of the pages and the demo's file can be served", () => {
  const examples = [
    ...blocksOf("docs/configuration.md").slice(0, -1),
    ...blocksOf("README.md"),
    readFileSync(join(root, "demo/podplug.yaml"), "utf8"),
  ];
  expect(examples.length).toBeGreaterThanOrEqual(3);
  for (const yaml of examples) refuseContradictions(parseConfig(yaml, "example"));
});
