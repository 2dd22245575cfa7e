import type { CachedAttachments } from "../cni/cached-attachments.ts";
import { createCachedAttachments } from "../cni/cached-attachments.ts";
import { createKactusCache } from "../cni/kactus-cache.ts";
import type { Config } from "../config.ts";
import type { Logger } from "../domain/log.ts";

/**
 * What the node's meta plugins keep. Kactus's own first: it has the plugin's
 * configuration, where libcni's of podagent has but kactus's, which would need
 * kactus to unplug.
 */
export function createCaches({ cni: { cacheDirs } }: Config, log: Logger): CachedAttachments {
  const caches = [createKactusCache({ cacheDirs, log }), createCachedAttachments({ cacheDirs, log })];
  return {
    async find(containerId, ifName) {
      for (const cache of caches) {
        const found = await cache.find(containerId, ifName);
        if (found) return found;
      }
      return undefined;
    },
  };
}
