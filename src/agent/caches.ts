import { type CachedAttachments, createCachedAttachments } from "../cni/cached-attachments.ts";
import { createKactusCache } from "../cni/kactus-cache.ts";
import { describeNetwork } from "../cni/network-type.ts";
import type { Config } from "../config.ts";
import type { Logger } from "../domain/log.ts";

/**
 * What the node's meta plugins keep: kactus's notes and libcni's caches. What
 * podagent's libcni keeps tells how kactus was run, and kactus unplugs by its
 * notes alone: where those don't tell, nothing does.
 */
export function createCaches({ cni: { cacheDirs } }: Config, log: Logger): CachedAttachments {
  const notes = createKactusCache({ cacheDirs, log });
  const caches = createCachedAttachments({ cacheDirs, log });
  return {
    async find(containerId, ifName) {
      const noted = await notes.find(containerId, ifName);
      if (noted) return noted;
      const cached = await caches.find(containerId, ifName);
      return cached && describeNetwork(cached.config).type !== "kactus" ? cached : undefined;
    },
  };
}
