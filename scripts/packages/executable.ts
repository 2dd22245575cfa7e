import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type BuildOptions, build, type Metafile, type Plugin } from "esbuild";
import { agentBundle, clusterBundle, mainBundle } from "../bundle.ts";
import type { Platform } from "./platform.ts";
import { parts } from "./run-program.ts";

const root = join(import.meta.dirname, "../..");

/** Where Node looks for what was put into it; a word of Node's own. */
const fuse = "NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2";

/** As bin/podplug has them, with the reason there. */
const heap = ["--max-semi-space-size=4", "--max-old-space-size=128"];

/** A native file can't be loaded from within the executable: koffi's own lies beside. */
const koffiBeside: Plugin = {
  name: "koffi-beside",
  setup({ onResolve }) {
    // Its other form, of modules, hides from the bundler what it requires.
    onResolve({ filter: /^koffi$/ }, () => ({ path: join(root, "node_modules/koffi/index.cjs") }));
    onResolve({ filter: /^@koromix\/koffi-/ }, () => ({ path: "../koffi.node", external: true }));
  },
};

const inMemory = (bundle: BuildOptions, outfile: string): BuildOptions => ({
  ...bundle,
  outfile,
  plugins: [...(bundle.plugins ?? []), koffiBeside],
  // Node's loader isn't there to import by.
  supported: { "dynamic-import": false },
  banner: { js: "(function (exports, require, module, __filename, __dirname) {" },
  footer: { js: "})" },
  // The licenses go with the packages, whole; and without them the code is ASCII.
  legalComments: "none",
});

/** In the folder it was made in; made again only when asked to. */
export const executableIn = (folder: string) => ({
  program: join(folder, "podplug"),
  koffi: join(folder, "koffi.node"),
  /** The folders of the npm packages within, a JSON array. */
  packages: join(folder, "packages.json"),
});

/**
 * Makes the program as one file: Node.js, stripped, with the bundles inside,
 * and what V8 makes of them where this machine can run the platform's Node.
 */
export async function buildExecutable(platform: Platform, folder: string): Promise<void> {
  mkdirSync(join(folder, "bin"), { recursive: true });
  const main = await build({ ...inMemory(mainBundle, join(folder, "main.cjs")), metafile: true });
  const agent = await build({ ...inMemory(agentBundle, join(folder, "agent.cjs")), metafile: true });
  const cluster = await build({ ...inMemory(clusterBundle, join(folder, "cluster.cjs")), metafile: true });
  await build({
    entryPoints: [join(import.meta.dirname, "start.ts")],
    outfile: join(folder, "start.cjs"),
    bundle: true,
    platform: "node",
    format: "cjs",
  });
  const { program, koffi, packages } = executableIn(folder);
  copyFileSync(platform.koffi, koffi);
  writeFileSync(packages, JSON.stringify(packagesIn([main.metafile, agent.metafile, cluster.metafile])));
  if (platform.isHere) {
    compile(platform, folder, "main", ["list", "--server", "unix:///nonexistent"], 5);
    compile(platform, folder, "agent", ["agent", "--config", "/nonexistent"], 2);
    compile(platform, folder, "cluster", ["kubectl", "list", "--kubeconfig", "/nonexistent"], 2);
  }

  const assets = parts.flatMap((part) => [`${part}.cjs`, ...(platform.isHere ? [`${part}.cache`] : [])]);
  const blob = join(folder, "podplug.blob");
  const recipe = join(folder, "podplug.json");
  writeFileSync(
    recipe,
    JSON.stringify({
      main: join(folder, "start.cjs"),
      output: blob,
      disableExperimentalSEAWarning: true,
      execArgv: heap,
      // A node's environment must not change what runs there as root.
      execArgvExtension: "none",
      assets: Object.fromEntries(assets.map((asset) => [asset, join(folder, asset)])),
    }),
  );
  execFileSync(process.execPath, ["--experimental-sea-config", recipe], { stdio: "pipe" });
  copyFileSync(platform.node, program);
  chmodSync(program, 0o755);
  // Before: what is put in doesn't survive it.
  execFileSync(platform.strip, [program]);
  const postject = createRequire(join(root, "package.json")).resolve("postject/dist/cli.js");
  execFileSync(process.execPath, [postject, program, "NODE_SEA_BLOB", blob, "--sentinel-fuse", fuse], {
    stdio: "pipe",
  });
}

/** Loading a part is enough for its code to be kept, however the command ends. */
function compile(
  { node }: Platform,
  folder: string,
  part: string,
  args: readonly string[],
  expected: number,
): void {
  const script = join(import.meta.dirname, "compile.ts");
  // With the heap's flags: V8 takes compiled code only under the flags it was made under.
  const command = [...heap, "--disable-warning=ExperimentalWarning", script, folder, part, ...args];
  try {
    execFileSync(node, command, { stdio: "pipe" });
  } catch (error) {
    if (error instanceof Error && "status" in error && error.status === expected) return;
    throw error;
  }
  throw new Error(`podplug ${args.join(" ")} succeeded, against expectation`);
}

/** The folders of the npm packages within. */
export function packagesIn(bundles: readonly Metafile[]): readonly string[] {
  const folders = bundles
    .flatMap(({ inputs }) => Object.keys(inputs))
    .map((file) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1])
    .filter((folder) => folder !== undefined);
  return [...new Set(folders)].toSorted();
}
