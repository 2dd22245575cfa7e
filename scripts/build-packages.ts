/** Makes the deb and the rpm in dist/packages: `node scripts/build-packages.ts [--arch amd64|arm64] [--out FOLDER]`. */
import { globSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildDeb } from "./packages/deb.ts";
import { buildExecutable } from "./packages/executable.ts";
import { hostPlatform, platformNames, platformOf } from "./packages/platform.ts";
import { buildRpm } from "./packages/rpm.ts";
import { layOut } from "./packages/tree.ts";
import { versionOfTree } from "./packages/version.ts";

const { values } = parseArgs({
  options: {
    arch: { type: "string", default: hostPlatform() },
    out: { type: "string", default: join(import.meta.dirname, "../dist/packages") },
  },
});
const name = platformNames.find((each) => each === values.arch);
if (name === undefined) throw new Error(`--arch is one of ${platformNames.join(", ")}`);

const out = resolve(values.out);
const platform = platformOf(name, out);
mkdirSync(out, { recursive: true });
// Of versions before.
for (const package_ of globSync([`*_${name}.deb`, `*.${platform.machine}.rpm`], { cwd: out }))
  rmSync(join(out, package_));
const executable = join(out, `executable-${name}`);
await buildExecutable(platform, executable);
const version = versionOfTree();
const tree = join(out, `tree-${name}`);
layOut(tree, { platform, executable, version });
const options = { tree, out, platform, version, compressed: true };
console.log(buildDeb(options));
console.log(buildRpm(options));
