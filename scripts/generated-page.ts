import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes a generated page; with `--check` on the command line only says whether it is up to date. */
export function writePage(path: string, text: string): void {
  const file = join(import.meta.dirname, "..", path);
  if (!process.argv.includes("--check")) {
    writeFileSync(file, text);
    return;
  }
  if (readFileSync(file, "utf8") === text) return;
  console.error(`${path} is out of date: run make docs`);
  process.exitCode = 1;
}
