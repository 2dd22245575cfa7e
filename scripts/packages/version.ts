import { execFileSync } from "node:child_process";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };

const root = join(import.meta.dirname, "../..");

/** What a package is called by, and when its sources were made. */
export interface Version {
  /** Both Debian and rpm sort what has a tilde before what hasn't. */
  readonly name: string;
  /** In seconds. */
  readonly epoch: number;
}

/** The release's own at its tag, in a tree without history too; else the one before it, with day and commit. */
export function versionOfTree(): Version {
  const { version } = packageJson;
  const epoch = Number(process.env["SOURCE_DATE_EPOCH"]);
  const commit = git("log", "-1", "--format=%ct %h");
  if (commit === undefined) return { name: version, epoch: epoch || Math.floor(Date.now() / 1000) };
  const [seconds = "", hash = ""] = commit.split(" ");
  const isRelease = git("describe", "--tags", "--exact-match") === `v${version}`;
  const day = new Date(Number(seconds) * 1000).toISOString().slice(0, 10).replaceAll("-", "");
  return { name: isRelease ? version : `${version}~git${day}.${hash}`, epoch: epoch || Number(seconds) };
}

function git(...args: readonly string[]): string | undefined {
  try {
    return execFileSync("git", ["-C", root, ...args], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    // No tag here, or no history at all.
    return undefined;
  }
}
