import { type CacheEntry, cacheKind } from "../../src/cni/cache.ts";
import type { CachedAttachments } from "../../src/cni/cached-attachments.ts";
import { kactusKind } from "../../src/cni/kactus-cache.ts";

/** What another runtime keeps, libcni's cache or kactus's, in memory. */
export interface FakeCachedAttachments extends CachedAttachments {
  put(entry: CacheEntry): void;
}

export function createFakeCachedAttachments(): FakeCachedAttachments {
  const entries: CacheEntry[] = [];
  return {
    put(entry) {
      entries.push(entry);
    },
    async find(containerId, ifName) {
      return entries.findLast(
        (entry) =>
          entry.containerId === containerId &&
          entry.ifName === ifName &&
          (entry.kind === kactusKind || (entry.kind === cacheKind && entry.result !== undefined)),
      );
    },
  };
}
