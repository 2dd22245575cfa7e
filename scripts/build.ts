/**
 * Bundles the program into dist/ (or the folder named), minified, with source maps:
 *
 * - `main.cjs`, all that talks to an agent;
 * - `agent.cjs`, the agent, apart from it because a call to the agent would
 *   otherwise read and check three times as much code before it starts;
 * - `podplug.cjs`, which starts main.cjs with the compile cache;
 * - `cache/`, that cache, filled.
 *
 * All of it can be moved and mounted read-only. koffi, with its native part,
 * stays in node_modules.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { type BuildOptions, build, type Plugin } from "esbuild";

const root = join(import.meta.dirname, "..");
const dist = resolve(process.argv[2] ?? join(root, "dist"));

const common: BuildOptions = {
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node22.19",
  minify: true,
  sourcemap: "linked",
  sourcesContent: false,
  // The last two are optional and native: what dockerode would use to reach a Docker by SSH.
  // Files of the tree are found from where the bundle is.
  define: { "import.meta.dirname": "__dirname" },
  external: ["koffi", "cpu-features", "*.node"],
  logLevel: "warning",
};

const agentApart: Plugin = {
  name: "agent-apart",
  setup({ onResolve }) {
    onResolve({ filter: /\/agent\.ts$/ }, ({ kind }) =>
      kind === "dynamic-import" ? { path: "./agent.cjs", external: true } : undefined,
    );
  },
};

/**
 * Only the server checks requests by the rules in their descriptors. A client
 * needs no more of the rules' own descriptor than its name, and reading all of
 * it is a tenth of the time that a call takes.
 */
const rulesLeftOut: Plugin = {
  name: "rules-left-out",
  setup({ onLoad }) {
    const file = create(FileDescriptorProtoSchema, {
      name: "buf/validate/validate.proto",
      package: "buf.validate",
    });
    const descriptor = Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString("base64");
    onLoad({ filter: /\/gen\/buf\/validate\/validate_pb\.js$/ }, () => ({
      contents: `import { fileDesc } from "@bufbuild/protobuf/codegenv2";
        export const file_buf_validate_validate = fileDesc(${JSON.stringify(descriptor)});`,
      resolveDir: root,
    }));
  },
};

// A cache that may be moved, and is read by the Node.js that made it alone: an older one starts without.
const loader = `"use strict";
if (Number.parseInt(process.versions.node) >= 24) {
  require("node:module").enableCompileCache({ directory: require("node:path").join(__dirname, "cache"), portable: true });
}
require("./main.cjs");
`;

rmSync(dist, { recursive: true, force: true });
await build({ ...common, entryPoints: [join(root, "src/agent.ts")], outfile: join(dist, "agent.cjs") });
// main.cjs last: bin/podplug compares its age with that of the sources.
await build({
  ...common,
  entryPoints: [join(root, "src/main.ts")],
  outfile: join(dist, "main.cjs"),
  inject: [join(root, "scripts/light-headers.ts")],
  plugins: [agentApart, rulesLeftOut],
});
writeFileSync(join(dist, "podplug.cjs"), loader);

// Loading a file is enough for Node to keep its code, however the command ends.
fillCache(["list", "--server", "unix:///nonexistent"], 5);
fillCache(["agent", "--config", join(dist, "nonexistent.yaml")], 2);
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
