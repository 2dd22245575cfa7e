import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

export const platformNames = ["amd64", "arm64"] as const;
export type PlatformName = (typeof platformNames)[number];

/** What packages are made for: its names, and its programs. */
export interface Platform {
  /** As Debian calls it. */
  readonly name: PlatformName;
  /** As rpm and the compilers do. */
  readonly machine: string;
  /** Its Node.js, of the version that the tree is built with. */
  readonly node: string;
  readonly koffi: string;
  readonly strip: string;
  /** This machine runs its programs. */
  readonly isHere: boolean;
}

const machines = { amd64: "x86_64", arm64: "aarch64" } as const;
const nodeNames = { amd64: "x64", arm64: "arm64" } as const;

export function hostPlatform(): PlatformName {
  const name = platformNames.find((each) => nodeNames[each] === arch());
  if (name === undefined)
    throw new Error(`packages are made for ${platformNames.join(" and ")}, not for ${arch()}`);
  return name;
}

/** Another machine's Node.js and koffi are fetched into `folder`, as the lockfiles have them. */
export function platformOf(name: PlatformName, folder: string): Platform {
  const machine = machines[name];
  const cpu = nodeNames[name];
  const isHere = name === hostPlatform();
  const modules = isHere ? root : join(folder, `npm-${name}`);
  if (!isHere) fetchModules(cpu, modules);
  return {
    name,
    machine,
    isHere,
    node: join(modules, `toolchain/node_modules/node-linux-${cpu}/bin/node`),
    koffi: join(modules, `node_modules/@koromix/koffi-linux-${cpu}/linux_${cpu}/koffi.node`),
    strip: isHere ? "strip" : `${machine}-linux-gnu-strip`,
  };
}

function fetchModules(cpu: string, into: string): void {
  for (const part of ["", "toolchain"]) {
    mkdirSync(join(into, part), { recursive: true });
    for (const file of ["package.json", "package-lock.json"]) {
      copyFileSync(join(root, part, file), join(into, part, file));
    }
    const wanted = ["--os", "linux", "--libc", "glibc", "--cpu", cpu, "--omit", "dev"];
    const quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--loglevel", "error"];
    execFileSync("npm", ["ci", "--prefix", join(into, part), ...wanted, ...quietly], { stdio: "inherit" });
  }
}
