/**
 * Runs the bundles of a folder and keeps there, as `PART.cache`, what V8 has
 * compiled by the end of the command:
 *
 *   node scripts/packages/compile.ts FOLDER PART COMMAND…
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "./run-program.ts";

const [folder = "", kept] = process.argv.splice(2, 2);
runProgram({
  code: (part) => readFileSync(join(folder, `${part}.cjs`)),
  directory: join(folder, "bin"),
  loaded(part, script) {
    if (part !== kept) return;
    process.once("exit", () => writeFileSync(join(folder, `${part}.cache`), script.createCachedData()));
  },
});
