/**
 * Makes the npm package `podplug` of src/library.ts in dist/library (or the
 * folder named): modules as they are, with their types, and no more packages
 * than a client needs. `npm pack` makes one file of it.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, resolve } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { rulesByName } from "./bundle.ts";

const root = join(import.meta.dirname, "..");
const out = resolve(process.argv[2] ?? join(root, "dist/library"));
const lib = join(out, "lib");

const needed = ["@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-node", "ws"] as const;
/** For those alone who speak to an API server: it is larger than all else together. */
const optional = "@kubernetes/client-node";
/** It tells the requests' rules, which the server alone looks at. */
const rulesPackage = "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

rmSync(out, { recursive: true, force: true });
execFileSync(
  join(root, "node_modules/.bin/tsc"),
  ["-p", join(root, "tsconfig.library.json"), "--outDir", lib],
  {
    stdio: ["ignore", "inherit", "inherit"],
  },
);

const files = readdirSync(lib, { recursive: true, encoding: "utf8" }).filter((file) =>
  /\.(js|ts)$/.test(file),
);
for (const file of files) {
  const path = join(lib, file);
  const depth = file.split("/").length - 1;
  const text = readFileSync(path, "utf8")
    .replaceAll(rulesPackage, `${"../".repeat(depth)}gen/rules.js`)
    // TypeScript leaves these alone in declarations.
    .replaceAll(/(from|import\() ?"(\.[^"]*)\.ts"/g, (_all, word: string, name: string) =>
      word === "from" ? `from "${name}.js"` : `import("${name}.js"`,
    );
  refuseUnknownPackages(file, text);
  writeFileSync(path, text);
}
writeFileSync(join(lib, "gen/rules.js"), rulesByName());

const { name, version, description, license, type, engines, dependencies } = packageJson;
writeFileSync(
  join(out, "package.json"),
  `${JSON.stringify(
    {
      name,
      version,
      description: `${description}: the client`,
      license,
      type,
      engines,
      exports: { ".": { types: "./lib/src/library.d.ts", default: "./lib/src/library.js" } },
      files: ["lib"],
      sideEffects: false,
      dependencies: Object.fromEntries(needed.map((each) => [each, dependencies[each]])),
      peerDependencies: { [optional]: `^${dependencies[optional]}` },
      peerDependenciesMeta: { [optional]: { optional: true } },
    },
    null,
    2,
  )}\n`,
);
copyFileSync(join(root, "LICENSE"), join(out, "LICENSE"));
// The other pages aren't in the package.
const page = readFileSync(join(root, "docs/library.md"), "utf8");
writeFileSync(join(out, "README.md"), page.replaceAll(/\[([^\]]+)\]\((?!https?:)[^)]*\)/g, "$1"));

/** What a module imports and its package doesn't name is missed only when somebody has installed it. */
function refuseUnknownPackages(file: string, text: string): void {
  for (const [, specifier = ""] of text.matchAll(/(?:from|import\() ?"([^".][^"]*)"/g)) {
    const known = [...needed, optional].some(
      (each) => specifier === each || specifier.startsWith(`${each}/`),
    );
    if (!known && !isBuiltin(specifier))
      throw new Error(`${file} imports ${specifier}, which a client can't need`);
  }
}
