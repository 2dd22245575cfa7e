import { expect, test } from "vitest";
import { chainTo, importsOf } from "./source-imports.ts";

test("every form of import is seen", () => {
  const text = [
    'import "node:fs";',
    'import type { A } from "../domain/a.ts";',
    "import {",
    "  type B,",
    "  c,",
    '} from "./c.ts";',
    'export * from "zod";',
    'export type { D } from "./d.ts";',
    '  const agent = await import("../agent.ts");',
    'export const notOne = "x";',
    'const text = `see "./no.ts"`;',
  ].join("\n");
  const seen = importsOf("src/cni/x.ts", text).map(({ to, typeOnly, lazy }) => [to, typeOnly, lazy]);
  expect(seen).toEqual([
    ["node:fs", false, false],
    ["src/domain/a.ts", true, false],
    ["src/cni/c.ts", false, false],
    ["zod", false, false],
    ["src/cni/d.ts", true, false],
    ["src/agent.ts", false, true],
  ]);
});

test("a chain is told from its start, by what is loaded at once only", () => {
  const imports = [
    ...importsOf("src/a.ts", 'import "./b.ts";\nimport type { Z } from "zod";'),
    ...importsOf("src/b.ts", 'import "./c.ts";\nawait import("pino");'),
    ...importsOf("src/c.ts", 'import "koffi";'),
  ];
  const to = (name: string) => chainTo("src/a.ts", imports, (specifier) => specifier === name);
  expect(to("koffi")).toEqual(["src/a.ts", "src/b.ts", "src/c.ts", "koffi"]);
  expect(to("zod")).toBeUndefined();
  expect(to("pino")).toBeUndefined();
});
