/**
 * Bundles the program into dist/ (or the folder named), minified, with source maps:
 *
 * - `main.cjs`, all that talks to an agent;
 * - `agent.cjs`, the agent, and `cluster.cjs`, what commands do at the API
 *   server, apart from it because a call to the agent would otherwise read and
 *   check three times as much code before it starts;
 * - `podplug.cjs`, which starts main.cjs with the compile cache;
 * - `cache/`, that cache, filled;
 * - `packages.json`, the npm packages in it, whose licenses go with it.
 *
 * All of it can be moved and mounted read-only. koffi, with its native part,
 * stays in node_modules.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type BuildOptions, build } from "esbuild";
import { agentBundle, clusterBundle, mainBundle } from "./bundle.ts";
import { packagesIn } from "./packages/executable.ts";

const root = join(import.meta.dirname, "..");
const dist = resolve(process.argv[2] ?? join(root, "dist"));

const inFile = (bundle: BuildOptions, name: string): BuildOptions => ({
  ...bundle,
  outfile: join(dist, name),
  external: [...(bundle.external ?? []), "koffi"],
  sourcemap: "linked",
  sourcesContent: false,
  metafile: true,
});

// A cache that may be moved, and is read by the Node.js that made it alone: an older one starts without.
const loader = `"use strict";
if (Number.parseInt(process.versions.node) >= 24) {
  require("node:module").enableCompileCache({ directory: require("node:path").join(__dirname, "cache"), portable: true });
}
require("./main.cjs");
`;

rmSync(join(dist, "cache"), { recursive: true, force: true });
const agent = await build(inFile(agentBundle, "agent.cjs"));
const cluster = await build(inFile(clusterBundle, "cluster.cjs"));
// main.cjs last: bin/podplug compares its age with that of the sources.
const main = await build(inFile(mainBundle, "main.cjs"));
writeFileSync(join(dist, "podplug.cjs"), loader);
const packages = packagesIn([agent, cluster, main].flatMap(({ metafile }) => metafile ?? []));
writeFileSync(join(dist, "packages.json"), JSON.stringify([...packages, "node_modules/koffi"]));

// Loading a file is enough for Node to keep its code, however the command ends.
fillCache(["list", "--server", "unix:///nonexistent"], 5);
fillCache(["agent", "--config", join(dist, "nonexistent.yaml")], 2);
fillCache(["kubectl", "list", "--kubeconfig", join(dist, "nonexistent.yaml")], 2);
for (const entry of readdirSync(join(dist, "cache"), { recursive: true, withFileTypes: true })) {
  // Node keeps them to their maker; a release serves every user.
  chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644);
}

function fillCache(args: readonly string[], expectedExitCode: number): void {
  try {
    execFileSync(process.execPath, [join(dist, "podplug.cjs"), ...args], { stdio: "pipe" });
  } catch (error) {
    if (error instanceof Error && "status" in error && error.status === expectedExitCode) return;
    throw error;
  }
  throw new Error(`podplug ${args.join(" ")} succeeded, against expectation`);
}
