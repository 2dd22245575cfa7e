import { execFile } from "node:child_process";
import { globSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, readdir, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PackageOptions } from "../../scripts/packages/package-options.ts";
import { hostPlatform, platformOf } from "../../scripts/packages/platform.ts";
import { layOut } from "../../scripts/packages/tree.ts";
import type { IpLink, TestNetns } from "../support/netns.ts";

const execute = promisify(execFile);
const root = join(import.meta.dirname, "../..");

const built = join(root, "dist/packages");
const platform = platformOf(hostPlatform(), built);

/** What make packages has made. */
export const packages = {
  deb: onlyFile(`*_${platform.name}.deb`),
  rpm: onlyFile(`*.${platform.machine}.rpm`),
};

function onlyFile(pattern: string): string {
  const [file, ...others] = globSync(pattern, { cwd: built });
  if (file === undefined || others.length > 0)
    throw new Error(`there isn't one ${pattern} in ${built}: run make packages`);
  return join(built, file);
}

/** Runs a command on the machine; throws with what it said when it fails. */
export async function run(command: string, ...args: readonly string[]): Promise<string> {
  const { stdout, stderr } = await execute(command, args, {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  });
  return stdout + stderr;
}

/** What a later version's packages are made of; their default configuration differs. */
export async function layOutLater(name: string): Promise<PackageOptions> {
  const out = await mkdtemp(join(tmpdir(), "later-"));
  const tree = join(out, "tree");
  const version = { name, epoch: 1_790_000_000 };
  layOut(tree, {
    platform,
    executable: join(built, `executable-${platform.name}`),
    version,
  });
  await writeFile(join(tree, "etc/podplug/config.yaml"), "# other defaults\n", { flag: "a" });
  return { tree, out, platform, version, compressed: false };
}

/** What `systemctl show` says of a unit, the agent's as a rule. */
export async function unit(property: string, name = "podplug.service"): Promise<string> {
  return (await run("systemctl", "show", "--property", property, "--value", name)).trim();
}

/** The administrator's own configuration: no cluster, no runtime, the demo's networks. */
export async function configure(): Promise<string> {
  const text =
    "runtime: netns\nnetworks:\n  - directory: /etc/podplug/networks.d\ncontroller:\n  enabled: false\n";
  await writeFile("/etc/podplug/config.yaml", text);
  await mkdir("/etc/podplug/networks.d", { recursive: true });
  await copyFile(join(root, "demo/networks/blue.conflist"), "/etc/podplug/networks.d/blue.conflist");
  await run("systemctl", "restart", "podplug.service");
  return text;
}

/** What an upgrade must leave as it is. */
export async function linkOf(pod: TestNetns, name: string) {
  const links = await pod.ipJson<readonly IpLink[]>("addr");
  const link = links.find(({ ifname }) => ifname === name);
  return link && { index: link.ifindex, mac: link.address, ips: link.addr_info.map(({ local }) => local) };
}

export const records = (): Promise<readonly string[]> => readdir("/var/lib/podplug/results");

/** Every file that podplug's packages bring or its agent makes, as far as it is there. */
export async function podplugFiles(): Promise<readonly string[]> {
  const found = await run(
    "find",
    "/etc",
    "/usr",
    "/var/lib",
    "/run",
    // What is running comes and goes there.
    "-ignore_readdir_race",
    "-xdev",
    "-name",
    "*podplug*",
    "-not",
    "-path",
    "/var/lib/dpkg/*",
  );
  return found
    .split("\n")
    .filter((path) => path !== "")
    .toSorted();
}
