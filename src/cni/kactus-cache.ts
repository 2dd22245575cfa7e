import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Logger } from "../domain/log.ts";
import { hashedNetName, isCniName } from "../domain/names.ts";
import type { CacheEntry } from "./cache.ts";
import type { CachedAttachments } from "./cached-attachments.ts";
import { isPlainObject, parseLosslessly } from "./lossless-json.ts";

/** The kind of its entries, which have no result: kactus keeps none. */
export const kactusKind = "kactus";

/**
 * Reads what Kaloom's meta plugin kactus keeps of a pod: one file, named for
 * the container, with the configurations that it ran (kactus/main.go,
 * saveDelegates). Each bears its Network's name, which the interface's name
 * follows from.
 */
export function createKactusCache(options: {
  /** `kactus` in each of these is looked into, and they themselves, in this order. */
  readonly cacheDirs: readonly string[];
  readonly log: Logger;
}): CachedAttachments {
  const { cacheDirs, log } = options;
  const folders = cacheDirs.flatMap((directory) => [join(directory, "kactus"), directory]);

  async function read(path: string): Promise<readonly JsonObject[]> {
    try {
      const value = parseLosslessly(await readFile(path, "utf8"));
      if (!Array.isArray(value))
        throw new PodplugError("JOURNAL_FAILED", "it isn't a list of configurations");
      return value.filter(isPlainObject);
    } catch (error) {
      // A folder of that name is no pod's.
      if (["ENOENT", "ENOTDIR", "EISDIR"].includes(systemCodeOf(error) ?? "")) return [];
      const message = "what kactus keeps of a pod can't be read";
      log.warn({ file: path, err: error, fault: messageOf(error) }, message);
      return [];
    }
  }

  return {
    async find(containerId, ifName) {
      if (!isCniName(containerId)) return undefined;
      for (const folder of folders) {
        const delegates = await read(join(folder, containerId));
        const [found] = delegates.flatMap((delegate) => entryOf(delegate, containerId, ifName) ?? []);
        if (found) return found;
      }
      return undefined;
    },
  };
}

/** None for the pod's own network, whose interface has another name. */
function networkOf({ networkName, masterPlugin, masterplugin }: JsonObject): string | undefined {
  if (masterPlugin === true || masterplugin === true) return undefined;
  return typeof networkName === "string" ? networkName : undefined;
}

function entryOf(delegate: JsonObject, containerId: string, ifName: string): CacheEntry | undefined {
  const network = networkOf(delegate);
  if (network === undefined || hashedNetName(network, new Set()) !== ifName) return undefined;
  const { name: written } = delegate;
  const networkName = typeof written === "string" && written !== "" ? written : network;
  return {
    kind: kactusKind,
    containerId,
    ifName,
    networkName,
    config: JSON.stringify({ ...delegate, name: networkName }),
    cniArgs: [],
    capabilityArgs: {},
  };
}
