import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { BuildOptions, Plugin } from "esbuild";

/*
 * How the program is bundled, whatever form it is released in: `main.cjs`, all
 * that talks to an agent, `agent.cjs`, the agent, and `cluster.cjs`, what
 * commands do at the API server. They are apart because a call to the agent
 * would otherwise read and check three times as much code before it starts.
 */

const root = join(import.meta.dirname, "..");

const common: BuildOptions = {
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node22.19",
  minify: true,
  // Files of the tree are found from where the bundle is.
  define: { "import.meta.dirname": "__dirname" },
  // Optional and native: what dockerode would use to reach a Docker by SSH.
  external: ["cpu-features", "*.node"],
  logLevel: "warning",
};

const partsApart: Plugin = {
  name: "parts-apart",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\/(agent|cluster)\.ts$/ }, ({ kind, path }) =>
      kind === "dynamic-import" ? { path: path.replace(/ts$/, "cjs"), external: true } : undefined,
    );
  },
};

/**
 * Only the server checks requests by the rules in their descriptors. A client
 * needs no more of the rules' own descriptor than its name, and reading all of
 * it is a tenth of the time that a call takes.
 */
export function rulesByName(): string {
  const file = create(FileDescriptorProtoSchema, {
    name: "buf/validate/validate.proto",
    package: "buf.validate",
  });
  const descriptor = Buffer.from(toBinary(FileDescriptorProtoSchema, file)).toString("base64");
  return `import { fileDesc } from "@bufbuild/protobuf/codegenv2";
export const file_buf_validate_validate = fileDesc(${JSON.stringify(descriptor)});
`;
}

const rulesLeftOut: Plugin = {
  name: "rules-left-out",
  setup({ onLoad }) {
    const contents = rulesByName();
    onLoad({ filter: /\/gen\/buf\/validate\/validate_pb\.js$/ }, () => ({ contents, resolveDir: root }));
  },
};

export const agentBundle: BuildOptions = {
  ...common,
  entryPoints: [join(root, "src/agent.ts")],
};

export const clusterBundle: BuildOptions = {
  ...common,
  entryPoints: [join(root, "src/cluster.ts")],
};

export const mainBundle: BuildOptions = {
  ...common,
  entryPoints: [join(root, "src/main.ts")],
  inject: [join(root, "scripts/light-headers.ts")],
  plugins: [partsApart, rulesLeftOut],
};
