/**
 * Adds to package-lock.json the platform packages that `npm install` left out
 * because the registry in use doesn't carry them (a mirror for Linux alone,
 * say). They are never installed on this tree's platforms, but `npm ci`
 * refuses a lockfile without them. To be run after each `npm install` that
 * changed the lockfile; it changes nothing when nothing is missing.
 */
import { readFileSync, writeFileSync } from "node:fs";

interface LockedPackage {
  readonly dev?: boolean;
  readonly version?: string;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
}
interface Lockfile {
  packages: Record<string, LockedPackage>;
}

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];
const processors = ["arm", "arm64", "armv7", "ia32", "ppc64", "riscv64", "s390x", "x64"];

/** What the package's name says of its platform: `@oxlint/binding-linux-x64-musl`. */
function platformOf(name: string): LockedPackage | undefined {
  const words = name.split(/[-/]/);
  const os = words.filter((word) => systems.includes(word));
  const cpu = words
    .filter((word) => processors.includes(word))
    .map((word) => (word === "armv7" ? "arm" : word));
  if (os.length !== 1 || cpu.length !== 1) return undefined;
  const libc = words.some((word) => word.startsWith("musl")) ? { libc: ["musl"] } : {};
  return { cpu, os, ...libc };
}

const path = new URL("../package-lock.json", import.meta.url);
const lockfile = JSON.parse(readFileSync(path, "utf8")) as Lockfile;
const missing = Object.entries(lockfile.packages).flatMap(([parent, { optionalDependencies, dev }]) =>
  Object.entries(optionalDependencies ?? {})
    .filter(([name]) => !(`${parent}/node_modules/${name}` in lockfile.packages))
    .filter(([name]) => !(`node_modules/${name}` in lockfile.packages))
    .map(([name, version]) => ({ name, version, dev })),
);
for (const { name, version, dev } of missing) {
  const platform = platformOf(name);
  if (platform === undefined || !/^\d/.test(version)) {
    throw new Error(`can't tell the platform or the version of ${name} ${version}`);
  }
  lockfile.packages[`node_modules/${name}`] = {
    version,
    ...platform,
    ...(dev === true ? { dev } : {}),
    optional: true,
  };
}
const sorted = Object.entries(lockfile.packages).sort(([a], [b]) => a.localeCompare(b, "en"));
lockfile.packages = Object.fromEntries(sorted);
writeFileSync(path, `${JSON.stringify(lockfile, null, 2)}\n`);
console.log(`${missing.length} platform packages added to package-lock.json`);
