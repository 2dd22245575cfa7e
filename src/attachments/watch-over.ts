import { pause } from "../domain/clock.ts";
import type { PodInterface } from "../domain/node-api.ts";
import { isSameNetns } from "../interfaces/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import { factsOf } from "./apply.ts";
import type { EngineCore } from "./core.ts";
import { createHeal } from "./heal.ts";
import type { AttachmentRecord } from "./journal.ts";
import { isGone } from "./namespaces.ts";
import { isLinkOf, viewOf } from "./view.ts";

/** A sandbox with attachments, which is looked at when the kernel tells of a change, and at intervals. */
interface Watched {
  readonly sandbox: Sandbox;
  /** What was told last of its attachments, by their IDs. */
  readonly told: Map<string, string>;
  /** Ends the kernel's telling; absent where it doesn't tell. */
  following?: Disposable | undefined;
  looking: boolean;
  /** Something changed while it was looked at. */
  again: boolean;
}

/** Waking costs an agent that slept more than the look for which it wakes. */
const leastPauseMs = 10_000;

/**
 * Keeps what is told of the attachments true: whatever was done to an
 * interface by hand is told to the watchers as a change. A link that vanished
 * it has healed; what ended with its namespace the sweep takes.
 */
export function createWatchOver(core: EngineCore, sweep: () => Promise<void>) {
  const { book, lanes, feed, namespaces, interfaceEvents, clock, log } = core;
  const heal = createHeal(core);

  return async function watchOver(intervalMs: number, signal: AbortSignal): Promise<void> {
    const watched = new Map<string, Watched>();
    let hearing = true;

    const events = feed.subscribe(signal);
    for (const { sandbox } of book.all()) keep(sandbox.id);
    try {
      await Promise.all([followFeed(), lookAround()]);
    } finally {
      for (const { following } of watched.values()) following?.[Symbol.dispose]();
    }

    async function followFeed(): Promise<void> {
      try {
        for await (const event of events) {
          if (event.kind === "synced" || event.kind === "failed") continue;
          const { attachmentId, sandboxId } = event.interface;
          keep(sandboxId);
          const told = watched.get(sandboxId)?.told;
          if (event.kind === "detached") told?.delete(attachmentId);
          else told?.set(attachmentId, textOf(event.interface));
          if (told) forgetReplaced(sandboxId, told);
        }
      } catch (error) {
        if (!core.isStopping()) throw error;
      }
    }

    /** No event tells that they went. */
    function forgetReplaced(sandboxId: string, told: Map<string, string>): void {
      const present = new Set(book.ofSandbox(sandboxId).map(({ id }) => id));
      for (const id of told.keys()) if (!present.has(id)) told.delete(id);
    }

    /** Watches over a sandbox while it has attachments. */
    function keep(id: string): void {
      const record = book.ofSandbox(id).at(-1);
      const known = watched.get(id);
      // A container that is started again keeps its ID.
      if (known && record && isSameNetns(known.sandbox.netns, record.sandbox.netns)) return;
      known?.following?.[Symbol.dispose]();
      watched.delete(id);
      if (!record) return;
      const each: Watched = { sandbox: record.sandbox, told: new Map(), looking: false, again: false };
      watched.set(id, each);
      follow(each);
    }

    /** And looks, whether or not the kernel will tell: something may have changed before. */
    function follow(each: Watched): void {
      interfaceEvents
        .follow(each.sandbox, (news) => (news === "ended" ? end() : look(each)), signal)
        .then(
          (following) => {
            if (watched.get(each.sandbox.id) === each && !signal.aborted) each.following = following;
            else following[Symbol.dispose]();
            hearing = true;
          },
          (error: unknown) => {
            if (signal.aborted || isGone(error)) return;
            const message = "the kernel's events can't be had; changes are found at intervals";
            if (hearing) log.warn({ intervalMs, err: error }, message);
            hearing = false;
          },
        )
        .finally(() => look(each));
    }

    function end(): void {
      sweep().catch((error: unknown) => log.warn({ err: error }, "looking after an ended sandbox failed"));
    }

    /** Spread over the interval, so that there is no moment with much to do; a few at once, so that an idle agent sleeps. */
    async function lookAround(): Promise<void> {
      while (!signal.aborted) {
        const round = [...watched.values()];
        const atOnce = Math.ceil((round.length * leastPauseMs) / intervalMs);
        for (let done = 0; done < round.length; done += atOnce) {
          const few = round.slice(done, done + atOnce);
          await pause(clock, (intervalMs * few.length) / round.length, signal);
          if (signal.aborted) return;
          for (const each of few) {
            if (each.following) look(each);
            else follow(each);
          }
        }
        if (round.length === 0) await pause(clock, intervalMs, signal);
      }
    }

    function look(each: Watched): void {
      if (each.looking) {
        each.again = true;
        return;
      }
      each.looking = true;
      lanes
        .run(each.sandbox.id, () => lookInLane(each), signal)
        .catch((error: unknown) => {
          if (!signal.aborted)
            log.warn({ sandbox: each.sandbox.id, err: error }, "looking at interfaces failed");
        })
        .finally(() => {
          each.looking = false;
          if (!each.again) return;
          each.again = false;
          look(each);
        });
    }

    function tell(record: AttachmentRecord, view: PodInterface, told: Map<string, string>): void {
      const before = told.get(record.id);
      const text = textOf(view);
      told.set(record.id, text);
      if (before === undefined ? !view.failure : before === text) return;
      feed.publish({ kind: "changed", interface: view });
      if (!view.failure) return;
      const { reason, message } = view.failure;
      log.warn({ ...factsOf(record), reason, failure: message }, "an attachment isn't as it was plugged");
    }

    async function lookInLane({ sandbox, told }: Watched): Promise<void> {
      if (core.isStopping()) return;
      // One that can't be found is the sweep's affair.
      const there = await namespaces.find(sandbox, signal);
      if (!there) return;
      for (const record of book.ofSandbox(sandbox.id)) {
        if (record.state !== "attached" || !isSameNetns(record.sandbox.netns, sandbox.netns)) continue;
        const link = there.links.find((each) => isLinkOf(each, record));
        tell(record, viewOf(record.sandbox, link, record), told);
        if (!link && record.chain.ifIndex !== undefined) await heal(record);
      }
    }
  };
}

/** What changes of an interface are told. */
function textOf({ name, index, mac, mtu, up, ips, failure }: PodInterface): string {
  return JSON.stringify({ name, index, mac, mtu, up, ips, failure: failure?.message });
}
