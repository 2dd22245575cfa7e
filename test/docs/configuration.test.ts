import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/config.ts";

const root = join(import.meta.dirname, "../..");

function blocksOf(page: string): readonly string[] {
  const text = readFileSync(join(root, page), "utf8");
  return Array.from(
    text.matchAll(/^```yaml\n(?<yaml>[\s\S]*?)^```/gm),
    ({ groups }) => groups?.["yaml"] ?? "",
  );
}

test("the configuration page shows every default", () => {
  const [yaml = ""] = blocksOf("docs/configuration.md");
  expect(parseConfig(yaml, "docs/configuration.md")).toEqual(parseConfig("", "nothing"));
});

test("the demo's configuration is one", () => {
  const path = "demo/podplug.yaml";
  expect(parseConfig(readFileSync(join(root, path), "utf8"), path).runtime).toBe("netns");
});
