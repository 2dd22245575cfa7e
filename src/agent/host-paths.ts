import { lstatSync, readlinkSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { posix } from "node:path";
import type { Config } from "../config.ts";
import { type HostPaths, type SeenAt, seenInPlace } from "../domain/host-path.ts";

/** As many as the kernel follows. */
const maxLinks = 40;

/**
 * Finds the host's paths below `hostRoot`. Links are followed as the host
 * would: an absolute one, such as /var/run, would lead into the container
 * otherwise. Below /proc nothing is followed: those links lead to things
 * (namespaces, roots), and their text to nowhere.
 */
export function createHostPaths(hostRoot: string): HostPaths {
  if (hostRoot === "") return seenInPlace;
  const below = (path: string): string => posix.join(hostRoot, path);

  function seenAt(hostPath: string): string {
    const following = follow(hostPath);
    let step = following.next();
    while (!step.done) step = following.next(targetOf(below(step.value)));
    return below(step.value);
  }

  async function patiently(hostPath: string): Promise<string> {
    const following = follow(hostPath);
    let step = following.next();
    // What is no link, and what can't be looked at, which who opens it hears of.
    while (!step.done) step = following.next(await readlink(below(step.value)).catch(() => undefined));
    return below(step.value);
  }

  return Object.assign(seenAt, { patiently });
}

/** The same configuration with the host's directories and sockets where the agent finds them. */
export function withPathsSeen(config: Config, seenAt: SeenAt): Config {
  const { cni } = config;
  return {
    ...config,
    dockerSocketPath: seenAt(config.dockerSocketPath),
    podResourcesSocketPath: seenAt(config.podResourcesSocketPath),
    cni: { ...cni, confDir: seenAt(cni.confDir), cacheDirs: cni.cacheDirs.map(seenAt) },
  };
}

/** Asks of each place on the way what it links to, if it is a link; returns where the path leads. */
function* follow(path: string): Generator<string, string, string | undefined> {
  const left = path.split("/");
  let found = "/";
  for (let links = 0; left.length > 0; ) {
    if (found === "/proc") return posix.join(found, ...left);
    const part = left.shift() ?? "";
    const next = posix.join(found, part);
    const target = yield next;
    if (target === undefined) {
      found = next;
      continue;
    }
    links += 1;
    // Whoever opens it hears of the loop.
    if (links > maxLinks) return posix.join(next, ...left);
    if (target.startsWith("/")) found = "/";
    left.unshift(...target.split("/"));
  }
  return found;
}

/** Undefined for what is no link, and for what can't be looked at, which who opens it hears of. */
function targetOf(path: string): string | undefined {
  try {
    // To fail takes ten times as long as to look first, and most are none.
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch {
    return undefined;
  }
}
