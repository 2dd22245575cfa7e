import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import { posix } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import { type SeenAt, seenInPlace } from "../domain/host-path.ts";
import { abortError } from "../domain/signals.ts";
import { describeTarget } from "../domain/target.ts";
import type { InterfaceReader, NetnsIdentity } from "../interfaces/contract.ts";
import type { Sandbox, SandboxLocator } from "./contract.ts";
import { createHostNetns } from "./host-netns.ts";

export interface NetnsLocatorOptions {
  readonly interfaces: InterfaceReader;
  /** Where named namespaces lie, as `ip netns add` makes them. */
  readonly directory?: string | undefined;
  /** Where this process finds that; in place when absent. */
  readonly seenAt?: SeenAt | undefined;
  /** What leads to the host's own namespace; one that can't be read is passed over. */
  readonly hostNetnsPaths?: readonly string[] | undefined;
}

/**
 * Network namespaces by their files, with no container runtime: an absolute
 * path (`/proc/PID/ns/net` too) or the name of one in `directory`. It lists
 * those of the directory, each once, by its first name.
 */
export function createNetnsLocator(options: NetnsLocatorOptions): SandboxLocator {
  const { interfaces, directory = "/run/netns", seenAt = seenInPlace } = options;
  const hostNetns = createHostNetns(interfaces, options.hostNetnsPaths);

  return {
    describe: async () => "netns",

    async locate(target, signal) {
      if (target.kind !== "netns") {
        throw new PodplugError(
          "TARGET_INVALID",
          `can't find ${describeTarget(target)}: runtime netns knows only network namespaces; cri and docker know ${target.kind}s`,
        );
      }
      const netnsPath = pathOf(target.netns, directory);
      const netns = await interfaces.identify(netnsPath, signal);
      if (await hostNetns.includes(netns, signal)) {
        throw new PodplugError("TARGET_INVALID", `${netnsPath} is the host's own network namespace`);
      }
      return { id: netnsSandboxId(netns), netnsPath, netns };
    },

    async list(signal) {
      const seen = new Set<string>();
      const sandboxes: Sandbox[] = [];
      for (const name of await namesIn(seenAt(directory), signal)) {
        const netnsPath = posix.join(directory, name);
        const netns = await unless(
          ["TARGET_NOT_FOUND", "TARGET_INVALID"],
          interfaces.identify(netnsPath, signal),
        );
        if (netns === undefined || (await hostNetns.includes(netns, signal))) continue;
        const id = netnsSandboxId(netns);
        if (seen.has(id)) continue;
        seen.add(id);
        sandboxes.push({ id, netnsPath, netns });
      }
      return sandboxes;
    },
  };
}

/** A CNI container ID for a namespace that no runtime names: the same for every path to it, and for none after it. */
export function netnsSandboxId({ bootId, inode, cookie }: NetnsIdentity): string {
  const digest = createHash("sha256").update(`${bootId}\n${inode}\n${cookie}`).digest("hex");
  return `netns-${digest.slice(0, 32)}`;
}

function pathOf(netns: string, directory: string): string {
  if (netns.startsWith("/") && !netns.includes("\0")) {
    return posix.resolve(netns);
  }
  if (netns === "" || netns === "." || netns === ".." || /[/\0]/.test(netns)) {
    throw new PodplugError(
      "TARGET_INVALID",
      `not a network namespace: ${JSON.stringify(netns)} is neither an absolute path nor a name in ${directory}`,
    );
  }
  return posix.join(directory, netns);
}

async function namesIn(directory: string, signal: AbortSignal): Promise<readonly string[]> {
  if (signal.aborted) throw abortError(signal, "listing network namespaces");
  try {
    return (await readdir(directory)).sort();
  } catch (error) {
    // `ip netns add` makes the directory with the first namespace.
    if (systemCodeOf(error) === "ENOENT") return [];
    throw new PodplugError("INTERNAL", `can't list network namespaces: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function unless<T>(
  excused: readonly PodplugError["reason"][],
  answer: Promise<T>,
): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof PodplugError && excused.includes(error.reason)) return undefined;
    throw error;
  }
}
