import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };

const page = readFileSync(join(import.meta.dirname, "../../docs/dependencies.md"), "utf8");

/** The packages in the first column of the table under a heading. */
function packagesUnder(heading: string): readonly string[] {
  const section = page.split("\n## ").find((part) => part.startsWith(heading)) ?? "";
  const cells = section.split("\n").flatMap((line) => /^\| (`.*?) \|/.exec(line)?.[1] ?? []);
  return cells.flatMap((cell) => cell.split(", ")).map((name) => name.replaceAll("`", ""));
}

test("every package is listed with its reason, and no other", () => {
  expect(packagesUnder("What runs")).toEqual(Object.keys(packageJson.dependencies));
  expect(packagesUnder("What builds").toSorted()).toEqual(
    Object.keys(packageJson.devDependencies).toSorted(),
  );
});
