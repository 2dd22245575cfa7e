import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemCodeOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { type CacheEntry, cacheKind, decodeCacheEntry } from "./cache.ts";

/** The attachments that other runtimes of the node made, as these keep them. */
export interface CachedAttachments {
  /** Undefined when no cache tells of it. An entry that can't be read is passed over with a warning. */
  find(containerId: string, ifName: string): Promise<CacheEntry | undefined>;
}

/**
 * Reads libcni's caches: `results/NETWORK-CONTAINERID-IFNAME` in each of
 * `cacheDirs` (libcni/api.go, getCacheFilePath). Multus has one of its own.
 */
export function createCachedAttachments(options: {
  /** In the order they are looked into; those that aren't there are empty. */
  readonly cacheDirs: readonly string[];
  readonly log: Logger;
}): CachedAttachments {
  const { cacheDirs, log } = options;

  async function read(path: string): Promise<CacheEntry | undefined> {
    try {
      return decodeCacheEntry(await readFile(path, "utf8")).entry;
    } catch (error) {
      log.warn({ file: path, err: error }, "an entry of another runtime's CNI cache can't be read");
      return undefined;
    }
  }

  return {
    async find(containerId, ifName) {
      for (const cacheDir of cacheDirs) {
        const directory = join(cacheDir, "results");
        const names = (await list(directory)).filter((name) => name.endsWith(`-${containerId}-${ifName}`));
        for (const name of names) {
          const entry = await read(join(directory, name));
          // The name's parts may hold dashes themselves.
          const isIt = entry?.containerId === containerId && entry.ifName === ifName;
          if (isIt && entry.kind === cacheKind && entry.result) return entry;
        }
      }
      return undefined;
    },
  };
}

async function list(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).toSorted();
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return [];
    throw error;
  }
}
