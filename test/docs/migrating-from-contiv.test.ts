import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig, refuseContradictions } from "../../src/config.ts";
import { readIntent } from "../../src/contiv/read-intent.ts";
import { example } from "../contiv/example.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/migrating-from-contiv.md"), "utf8");

function blocksOf(language: string): readonly string[] {
  const blocks = page.matchAll(new RegExp(`^ *\`\`\`${language}\\n(?<text>[\\s\\S]*?)^ *\`\`\``, "gm"));
  return Array.from(blocks, ({ groups }) => groups?.["text"] ?? "");
}

test("the page's intents are read, and the first is the one that is shown on two hosts", () => {
  const intents = blocksOf("json");
  expect(intents.map((text) => readIntent(text).kind)).toEqual(["valid", "valid"]);
  expect(JSON.parse(intents[0] ?? "")).toEqual(example);
});

test("the page's configuration can be served", () => {
  const [yaml = ""] = blocksOf("yaml");
  const config = parseConfig(yaml, "the page");
  refuseContradictions(config);
  expect(config.contiv).toEqual({ intentFile: "/etc/podplug/intent.json", hostLabel: "host1" });
});
