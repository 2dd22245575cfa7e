import { readlinkSync } from "node:fs";
import type { StartChild } from "../cni/child.ts";
import { createHostStart, openHostMounts } from "../cni/host-start.ts";
import { createFastestStart } from "../cni/posix-child.ts";
import type { Config } from "../config.ts";
import { messageOf, PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { isOwnPlugin } from "../own-plugins.ts";

/**
 * How plugins are started: in a container those of the host in its mount
 * namespace. podplug's own stay in the image, where the tools they use are.
 */
export async function createStart(
  { hostRoot }: Config,
  log: Logger,
  cleanup: AsyncDisposableStack,
): Promise<StartChild> {
  const start = await createFastestStart(log);
  if (hostRoot === "") return start;
  const mounts = cleanup.use(await openHostMounts(hostRoot));
  requireHostNetwork(hostRoot);
  return createHostStart({ start, mounts, isHosts: (path) => !isOwnPlugin(path) });
}

/** Plugins put their host ends where the agent is. */
function requireHostNetwork(hostRoot: string): void {
  const host = linkOf(`${hostRoot}/proc/1/ns/net`);
  if (host === linkOf("/proc/self/ns/net")) return;
  throw new PodplugError(
    "INVALID_CONFIGURATION",
    "hostRoot is set, and the agent isn't in the host's network; run its pod with hostNetwork: true",
  );
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch (cause) {
    throw new PodplugError("PRIVILEGE_MISSING", `can't look at ${path}: ${messageOf(cause)}`, { cause });
  }
}
