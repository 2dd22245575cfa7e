import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { PlatformName } from "./platform.ts";

const root = join(import.meta.dirname, "../..");
/** kubectl looks for it by this name. */
const bin = "kubectl-podplug";

export interface KrewOptions {
  /** The program as one file, for each processor. */
  readonly programs: readonly { readonly platform: PlatformName; readonly program: string }[];
  /** Without `v`. */
  readonly version: string;
  /** Where the archives will be, a folder. */
  readonly url: string;
  readonly out: string;
}

interface Manifest {
  readonly spec: Readonly<Record<string, unknown>>;
}

/** Writes an archive for each program, and krew's manifest of them; answers the manifest's path. */
export function buildKrew({ programs, version, url, out }: KrewOptions): string {
  const base = new URL(url.endsWith("/") ? url : `${url}/`);
  if (base.protocol !== "https:") throw new Error(`krew downloads by https, not from ${url}`);
  if (programs.length === 0) throw new Error("there is no program to make an archive of");
  mkdirSync(out, { recursive: true });
  const platforms = programs.map(({ platform, program }) => {
    const name = `${bin}-linux-${platform}.tar.gz`;
    const archive = join(out, name);
    pack(program, archive);
    return {
      selector: { matchLabels: { os: "linux", arch: platform } },
      uri: new URL(name, base).href,
      sha256: createHash("sha256").update(readFileSync(archive)).digest("hex"),
      bin,
      files: [bin, "LICENSE"].map((from) => ({ from, to: "." })),
    };
  });
  const manifest = parse(readFileSync(join(root, "deploy/krew/podplug.yaml"), "utf8")) as Manifest;
  const path = join(out, "podplug.yaml");
  writeFileSync(
    path,
    stringify({ ...manifest, spec: { version: `v${version}`, ...manifest.spec, platforms } }),
  );
  return path;
}

/** The same bytes for the same program, whenever and by whomever it is packed. */
function pack(program: string, archive: string): void {
  const folder = mkdtempSync(`${archive}-`);
  try {
    copyFileSync(program, join(folder, bin));
    copyFileSync(join(root, "LICENSE"), join(folder, "LICENSE"));
    const same = ["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"];
    const tar = execFileSync("tar", [...same, "--mode=u=rwX,go=rX", "-C", folder, "-c", "LICENSE", bin], {
      maxBuffer: 2 ** 30,
    });
    writeFileSync(archive, execFileSync("gzip", ["-9n"], { input: tar, maxBuffer: 2 ** 30 }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
