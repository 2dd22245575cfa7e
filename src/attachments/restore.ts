import { asPodplugError } from "../domain/errors.ts";
import type { Reason } from "../domain/reasons.ts";
import { neverAborted } from "../domain/signals.ts";
import { isSameNetns } from "../interfaces/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { recordKey } from "./journal.ts";
import { makeAgain } from "./make-again.ts";
import { isGone } from "./namespaces.ts";
import type { Retries } from "./retries.ts";

/** How long a pod that nobody tells of may be without a sandbox before it counts as gone. */
const unknownPodMs = 10 * 60_000;

/** With these the pod, or the name in it, is somebody else's by now. */
const final: readonly Reason[] = ["POD_ENDING", "UID_MISMATCH", "INTERFACE_IN_USE", "KEY_IN_USE"];

export interface Restore {
  /** Tries all that waits, side by side. */
  all(): Promise<void>;
  /** What waits since the end of this sandbox. */
  ofSandbox(sandboxId: string): Promise<void>;
}

/**
 * Attaches what outlived its pod's sandbox to the next one, under the same
 * name, as whoever asked for it, and makes again what waits in a namespace that
 * lives on. A pod without a sandbox is looked for at each call; a network that
 * can't be attached is tried again with growing pauses.
 */
export function createRestore(
  core: EngineCore,
  parts: {
    readonly retries: Retries;
    /** Attaches it in the sandbox, under its name if that is free. The sandbox's lane must be held. */
    readonly attachAgain: (record: AttachmentRecord, sandbox: Sandbox) => Promise<void>;
  },
): Restore {
  const { book, sandboxes, namespaces, lanes, clock, log, podLife } = core;
  const { retries, attachAgain } = parts;
  /** Since when this process has looked for the pods that nobody tells of, by record. */
  const missingSince = new Map<string, number>();
  /** By the sandbox that ended: one that hangs is tried once, however many sweeps come by. */
  const running = new Map<string, Promise<void>>();

  const isWaiting = ({ id, sandbox, ifName }: AttachmentRecord): boolean => {
    const known = book.get(sandbox.id, ifName);
    return known?.state === "waiting" && known.id === id;
  };

  const allWaiting = (): readonly AttachmentRecord[] => book.all().filter(({ state }) => state === "waiting");

  async function forget(record: AttachmentRecord, message: string): Promise<void> {
    if (isWaiting(record)) await book.remove(record);
    missingSince.delete(record.id);
    log.info(factsOf(record), message);
  }

  /** Undefined while there is none; what waits for a pod that is gone is forgotten. */
  async function nextSandbox(record: AttachmentRecord): Promise<Sandbox | undefined> {
    const { pod } = record.sandbox;
    const life = pod ? podLife(pod) : "unknown";
    if (life === "gone" || life === "ending") {
      await forget(record, "its pod is gone; it isn't attached again");
      return undefined;
    }
    if (!pod || record.target.kind !== "pod") return await ownNamespace(record);
    try {
      return await sandboxes.locate({ kind: "pod", pod }, neverAborted);
    } catch (error) {
      if (!isGone(error)) throw error;
      const nowMs = clock.steadyMs();
      const sinceMs = missingSince.get(record.id) ?? nowMs;
      missingSince.set(record.id, sinceMs);
      if (life === "unknown" && nowMs - sinceMs >= unknownPodMs) {
        await forget(record, "its pod has no sandbox any more; it isn't attached again");
      }
      return undefined;
    }
  }

  /** What was plugged by namespace or container ends with those. */
  async function ownNamespace(record: AttachmentRecord): Promise<Sandbox | undefined> {
    const there = await namespaces.find(record.sandbox, neverAborted);
    if (there) return { ...record.sandbox, netnsPath: there.netnsPath };
    await forget(record, "its namespace is gone; it isn't attached again");
    return undefined;
  }

  /** Whether nothing is left to do, or to be tried before the next call. */
  async function restore(record: AttachmentRecord): Promise<boolean> {
    const sandbox = await nextSandbox(record);
    if (!sandbox) return true;
    return await lanes.run(
      sandbox.id,
      async () => {
        if (core.isStopping() || !isWaiting(record)) return true;
        if (isSameNetns(sandbox.netns, record.sandbox.netns)) return await tryAgainIn(sandbox, record);
        await attachAgain(record, sandbox).catch(async (error: unknown) => {
          // A container that is started again keeps its ID: the attempt had this record's place.
          const left = book.get(record.sandbox.id, record.ifName);
          if (!left) await book.write(record);
          else if (left.state === "failed") await book.write({ ...left, restores: true });
          throw error;
        });
        await forget(record, "attached again to its pod's new sandbox");
        return true;
      },
      neverAborted,
    );
  }

  /** In its own namespace its name is its own: a link that somebody made under it is waited for to go. */
  async function tryAgainIn(sandbox: Sandbox, record: AttachmentRecord): Promise<boolean> {
    try {
      await makeAgain(record, sandbox, core);
      return true;
    } catch (error) {
      return tryLater(record, error);
    }
  }

  function tryLater(record: AttachmentRecord, error: unknown): false {
    const { reason } = asPodplugError(error);
    log.warn({ ...factsOf(record), reason, err: error }, "attaching again failed; it is tried again");
    return false;
  }

  /** Whether nothing is left to do, or to be tried before the next call. */
  async function attempt(record: AttachmentRecord): Promise<boolean> {
    try {
      return await restore(record);
    } catch (error) {
      if (final.includes(asPodplugError(error).reason)) return await giveUp(record, error);
      return tryLater(record, error);
    }
  }

  async function giveUp(record: AttachmentRecord, error: unknown): Promise<boolean> {
    const { reason } = asPodplugError(error);
    log.warn({ ...factsOf(record), reason, err: error }, "attaching again isn't possible");
    try {
      await forget(record, "it isn't attached again");
      return true;
    } catch (writeError) {
      log.warn({ ...factsOf(record), err: writeError }, "forgetting what waits failed; it is tried again");
      return false;
    }
  }

  /** One after the other: they share the next sandbox's lane, and go there in their order. */
  async function tryThose(records: readonly AttachmentRecord[]): Promise<void> {
    for (const record of records) {
      if (core.isStopping()) return;
      const key = `restore ${recordKey(record)}`;
      if (retries.isPending(key) || (await attempt(record))) continue;
      retries.schedule(key, async () => !isWaiting(record) || (await attempt(record)));
    }
  }

  async function ofSandbox(sandboxId: string): Promise<void> {
    const waiting = allWaiting().filter(({ sandbox }) => sandbox.id === sandboxId);
    const trying = running.get(sandboxId) ?? tryThose(waiting).finally(() => running.delete(sandboxId));
    running.set(sandboxId, trying);
    await trying;
  }

  return {
    ofSandbox,
    async all() {
      await Promise.all(new Set(allWaiting().map(({ sandbox }) => sandbox.id)).values().map(ofSandbox));
    },
  };
}
