import { PodplugError } from "../domain/errors.ts";
import { type InterfaceReader, isSameNetns, type NetnsIdentity } from "../interfaces/contract.ts";

/** Tells the host's own namespace, whatever leads to it. */
export interface HostNetns {
  includes(netns: NetnsIdentity, signal: AbortSignal): Promise<boolean>;
}

/** `paths` lead to the host's namespace; one that can't be read is passed over. */
export function createHostNetns(
  interfaces: InterfaceReader,
  paths: readonly string[] = ["/proc/self/ns/net", "/proc/1/ns/net"],
): HostNetns {
  let hosts: readonly NetnsIdentity[] | undefined;

  async function identify(path: string, signal: AbortSignal): Promise<NetnsIdentity | undefined> {
    try {
      return await interfaces.identify(path, signal);
    } catch (error) {
      if (error instanceof PodplugError && passedOver.has(error.reason)) return undefined;
      throw error;
    }
  }

  return {
    async includes(netns, signal) {
      // Asked for once: neither this process nor the first one moves to another namespace.
      hosts ??= (await Promise.all(paths.map((path) => identify(path, signal)))).filter(
        (host) => host !== undefined,
      );
      return hosts.some((host) => isSameNetns(host, netns));
    },
  };
}

const passedOver: ReadonlySet<string> = new Set(["TARGET_NOT_FOUND", "PRIVILEGE_MISSING"]);
