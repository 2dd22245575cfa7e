import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Platform } from "./platform.ts";

const root = join(import.meta.dirname, "../..");

/** Of everything in the executable that isn't podplug: Node.js and the npm packages, by their folders in the tree. */
export function licensesOf({ node }: Pick<Platform, "node">, packages: readonly string[]): string {
  const nodeFolder = join(node, "../..");
  return [
    ["Node.js, with what it contains", licenseIn(nodeFolder)] as const,
    ...packages.map((folder) => [nameOf(folder), licenseIn(join(root, folder))] as const),
  ]
    .map(([name, text]) => `${"=".repeat(78)}\n${name}\n${"=".repeat(78)}\n\n${text.trim()}\n`)
    .join("\n");
}

interface PackageJson {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
}

const describe = (folder: string): PackageJson =>
  JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as PackageJson;

function nameOf(folder: string): string {
  const { name, version } = describe(join(root, folder));
  return `${name} ${version}`;
}

function licenseIn(folder: string): string {
  const files = readdirSync(folder).filter((file) => /^(licen[cs]e|copying|notice)/i.test(basename(file)));
  if (files.length > 0) return files.map((file) => readFileSync(join(folder, file), "utf8")).join("\n");
  const { license, name } = describe(folder);
  if (license === undefined) throw new Error(`${name} says nothing of its license`);
  // Some say it there alone.
  return `License: ${license}`;
}
