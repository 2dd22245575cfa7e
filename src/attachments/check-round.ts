import { pause } from "../domain/clock.ts";
import { failureOf } from "../domain/errors.ts";
import { neverAborted } from "../domain/signals.ts";
import { factsOf } from "./apply.ts";
import type { createCheck } from "./check.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";

/** CHECK runs plugins, which costs more than all else that an idle node does. */
const checksPerInterval = 5;

/**
 * Has the plugins CHECK one attachment after the other, over and over: what
 * the kernel doesn't tell (a lease that was removed, a firewall rule), they may.
 */
export function createCheckRound(core: EngineCore, { checkRecord }: ReturnType<typeof createCheck>) {
  const { book, lanes, clock, log } = core;

  return async function goRound(intervalMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const round = book.all().filter(({ state }) => state === "attached");
      if (round.length === 0) await pause(clock, intervalMs / checksPerInterval, signal);
      const spacingMs = intervalMs / Math.min(round.length, checksPerInterval);
      for (const record of round) {
        await pause(clock, spacingMs, signal);
        if (signal.aborted) return;
        await checkNow(record);
      }
    }
  };

  async function checkNow(record: AttachmentRecord): Promise<void> {
    try {
      await lanes.run(record.sandbox.id, () => checkInLane(record), neverAborted);
    } catch (error) {
      const { reason } = failureOf(error);
      // One that failed was told by itself; a pod that has just gone is no news.
      if (reason === "CHECK_FAILED" || reason === "SANDBOX_NOT_READY") return;
      log.warn({ ...factsOf(record), reason, err: error }, "CHECK couldn't run");
    }
  }

  async function checkInLane({ sandbox, ifName }: AttachmentRecord): Promise<void> {
    const record = book.get(sandbox.id, ifName);
    if (record?.state !== "attached" || core.isStopping()) return;
    await checkRecord(record, neverAborted);
  }
}
