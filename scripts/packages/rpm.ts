import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PackageOptions } from "./package-options.ts";
import { configurationFiles } from "./tree.ts";

const spec = join(import.meta.dirname, "../../deploy/rpm/podplug.spec");

/** Folders that are podplug's own, and go with it. */
const ownFolders = ["/etc/podplug", "/usr/lib/podplug", "/usr/share/podplug", "/usr/share/doc/podplug"];

/** Packs the tree for Fedora, Red Hat, SUSE and their kin; the file's path. */
export function buildRpm({ tree, out, platform, version, compressed }: PackageOptions): string {
  const top = mkdtempSync(join(tmpdir(), "podplug-rpm-"));
  try {
    const files = join(top, "files");
    writeFileSync(files, fileList(tree));
    const macros = {
      _topdir: top,
      podplug_version: version.name,
      podplug_tree: tree,
      podplug_files: files,
      _binary_payload: compressed ? "w3T2.xzdio" : "w0.gzdio",
      _buildhost: "localhost",
      use_source_date_epoch_as_buildtime: "1",
      clamp_mtime_to_source_date_epoch: "1",
    };
    const defines = Object.entries(macros).flatMap(([name, value]) => ["--define", `${name} ${value}`]);
    execFileSync("rpmbuild", ["-bb", "--target", `${platform.machine}-linux`, ...defines, spec], {
      stdio: "pipe",
      env: { ...process.env, SOURCE_DATE_EPOCH: String(version.epoch) },
    });
    const name = `podplug-${version.name}-1.${platform.machine}.rpm`;
    cpSync(join(top, "RPMS", platform.machine, name), join(out, name));
    return join(out, name);
  } finally {
    rmSync(top, { recursive: true });
  }
}

/** Each file, and of the folders those that no other package has. */
function fileList(tree: string): string {
  const lines = globSync("**", { cwd: tree, withFileTypes: true }).flatMap((entry) => {
    const path = join(entry.parentPath, entry.name).slice(tree.length);
    if (!entry.isDirectory())
      return [configurationFiles.includes(path) ? `%config(noreplace) ${path}` : path];
    return ownFolders.some((folder) => path === folder || path.startsWith(`${folder}/`))
      ? [`%dir ${path}`]
      : [];
  });
  return ["%defattr(-,root,root,-)", ...lines].map((line) => `${line}\n`).join("");
}
