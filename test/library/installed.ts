import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { run } from "../cluster/support/cluster.ts";

const root = join(import.meta.dirname, "../..");

interface PackageJson {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface Installed {
  readonly folder: string;
  /** The packed library. */
  readonly tarball: string;
  run(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<string>;
}

/**
 * Packs the library and installs it by npm into a project, a copy of `source`.
 * All other packages come from this tree, since tests don't reach a registry.
 */
export async function installLibrary(folder: string, source: string): Promise<Installed> {
  const built = join(folder, "library");
  await run(process.execPath, [join(root, "scripts/build-library.ts"), built]);
  const npm = join(root, "toolchain/node_modules/.bin/npm");
  const [name = ""] = (await run(npm, ["pack", "--silent", "--pack-destination", folder, built]))
    .trim()
    .split("\n");
  const tarball = join(folder, name);

  const project = join(folder, "project");
  mkdirSync(project);
  for (const file of readdirSync(source)) cpSync(join(source, file), join(project, file));
  const manifest = JSON.parse(readFileSync(join(project, "package.json"), "utf8")) as PackageJson;
  const library = JSON.parse(readFileSync(join(built, "package.json"), "utf8")) as PackageJson;
  const others = Object.keys({
    ...library.dependencies,
    ...manifest.dependencies,
    ...manifest.devDependencies,
  })
    .filter((each) => each !== "podplug")
    .map((each): [string, string] => [each, `file:${join(root, "node_modules", each)}`]);
  writeFileSync(
    join(project, "package.json"),
    JSON.stringify({
      ...manifest,
      dependencies: Object.fromEntries([...others, ["podplug", `file:${tarball}`]]),
      devDependencies: {},
      overrides: Object.fromEntries(others.map(([each]) => [each, `$${each}`])),
    }),
  );
  const runThere: Installed["run"] = (program, args, env = {}) =>
    run("env", [
      `--chdir=${project}`,
      ...Object.entries(env).map(([key, value]) => `${key}=${value}`),
      program,
      ...args,
    ]);
  await runThere(npm, ["install", "--offline", "--no-audit", "--no-fund", "--ignore-scripts", "--silent"]);
  return { folder: project, tarball, run: runThere };
}
