import { existsSync } from "node:fs";
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

export function platformOf(name: PlatformName): Platform {
  const machine = machines[name];
  const node = nodeNames[name];
  const isHere = name === hostPlatform();
  return {
    name,
    machine,
    isHere,
    node: existing(join(root, `toolchain/node_modules/node-linux-${node}/bin/node`), node),
    koffi: existing(join(root, `node_modules/@koromix/koffi-linux-${node}/linux_${node}/koffi.node`), node),
    strip: isHere ? "strip" : `${machine}-linux-gnu-strip`,
  };
}

function existing(file: string, cpu: string): string {
  if (existsSync(file)) return file;
  throw new Error(
    `there is no ${file}: another processor's files come with npm ci --ignore-scripts --force --os linux --cpu ${cpu}, in the tree and in toolchain/`,
  );
}
