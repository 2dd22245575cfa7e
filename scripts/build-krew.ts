/**
 * Makes archives of the executables that `make packages` built, and krew's
 * manifest of them, in dist/krew: `node scripts/build-krew.ts --url https://…`.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { executableIn } from "./packages/executable.ts";
import { buildKrew } from "./packages/krew.ts";
import { platformNames } from "./packages/platform.ts";
import { versionOfTree } from "./packages/version.ts";

const { values } = parseArgs({ options: { url: { type: "string", default: "" } } });
if (values.url === "") throw new Error("--url says where the archives will be (make krew URL=https://…)");

const dist = join(import.meta.dirname, "../dist");
const programs = platformNames
  .map((platform) => ({
    platform,
    program: executableIn(join(dist, `packages/executable-${platform}`)).program,
  }))
  .filter(({ program }) => existsSync(program));
// krew takes semantic versions alone.
const version = versionOfTree().name.replace("~", "-");
console.log(buildKrew({ programs, version, url: values.url, out: join(dist, "krew") }));
