import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import type { AttachmentRecord } from "./journal.ts";

/**
 * Tells when an ADD that a daemon runs, which can't be told to stop, counts as
 * over. Until then it may make what a DEL has just taken away: a record that is
 * `late` stays, and DEL runs again. The time begins with the first DEL, by each
 * agent anew, as nobody knows when a killed one asked.
 */
export function createLateAdds({ clock, graceMs }: { readonly clock: Clock; readonly graceMs: number }) {
  /** When its first DEL was done, by the attachment's ID. */
  const sinceMs = new Map<string, number>();

  return {
    /** To be called after each DEL. CLEANUP_PENDING while an ADD of the attachment may still be running. */
    requireOver({ id, late, ifName, executor }: AttachmentRecord): void {
      if (!late) return;
      const nowMs = clock.steadyMs();
      const startMs = sinceMs.get(id) ?? nowMs;
      if (nowMs - startMs >= graceMs) {
        sinceMs.delete(id);
        return;
      }
      sinceMs.set(id, startMs);
      const message = `the ADD of ${ifName} that executor ${executor} asked for may still be running: DEL runs again until it can't be`;
      throw new PodplugError("CLEANUP_PENDING", message);
    },
  };
}
