import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, globSync, mkdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PackageOptions } from "./package-options.ts";
import { configurationFiles } from "./tree.ts";

const root = join(import.meta.dirname, "../..");

/** Packs the tree for Debian and its kin; the file's path. */
export function buildDeb({ tree, out, platform, version, compressed }: PackageOptions): string {
  const control = join(tree, "DEBIAN");
  mkdirSync(control);
  try {
    writeFileSync(join(control, "control"), controlOf(tree, platform.name, version.name));
    writeFileSync(join(control, "conffiles"), configurationFiles.map((file) => `${file}\n`).join(""));
    for (const script of ["postinst", "prerm", "postrm"]) {
      copyFileSync(join(root, "deploy/deb", script), join(control, script));
      chmodSync(join(control, script), 0o755);
    }
    const file = join(out, `podplug_${version.name}_${platform.name}.deb`);
    const how = compressed ? ["-Zxz", "-z3"] : ["-Znone"];
    execFileSync("dpkg-deb", ["--build", "--root-owner-group", ...how, tree, file], {
      stdio: "pipe",
      env: { ...process.env, SOURCE_DATE_EPOCH: String(version.epoch) },
    });
    return file;
  } finally {
    rmSync(control, { recursive: true });
  }
}

// What Node's own builds need: glibc 2.28, and GCC 8's library.
const controlOf = (tree: string, architecture: string, version: string): string => `Package: podplug
Version: ${version}
Architecture: ${architecture}
Maintainer: podplug's maintainers <podplug@localhost>
Installed-Size: ${Math.ceil(sizeOf(tree) / 1024)}
Depends: libc6 (>= 2.28), libstdc++6 (>= 8), libgcc-s1 | libgcc1, init-system-helpers (>= 1.50), iproute2
Recommends: containernetworking-plugins, curl
Section: admin
Priority: optional
Description: plugs network interfaces into running pods, and unplugs them
 podplug runs on a node and plugs network interfaces into the node's running
 pods, without a restart: it runs the networks' CNI plugins when an annotation,
 a command or an orchestrator asks for it, and keeps a record of each attachment.
`;

const sizeOf = (tree: string): number =>
  globSync("**", { cwd: tree, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
