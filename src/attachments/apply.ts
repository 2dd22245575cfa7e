import type { Clock } from "../domain/clock.ts";
import { asPodplugError, failureOf, PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { CniAttachment, Executor } from "../executor/contract.ts";
import type { DefaultRoutes, InterfaceReader, KernelInterface } from "../interfaces/contract.ts";
import { createRouteKeeper } from "./default-routes.ts";
import type { Gate } from "./gate.ts";
import { type AttachmentRecord, asIntended } from "./journal.ts";
import { createLateAdds } from "./late-add.ts";
import type { Namespaces } from "./namespaces.ts";
import { requireFree } from "./plan.ts";
import type { RecordBook } from "./record-book.ts";

export interface Applier {
  /**
   * Carries a record from intent to attached. `intent` is durable before the
   * first plugin starts. When anything fails, what was begun is undone and the
   * first failure is thrown; a record whose undoing failed stays as `failed`.
   * What `restores` waits once it is undone, here and in what follows.
   */
  attach(intent: AttachmentRecord): Promise<Attached>;
  /** DEL from the record alone; the record goes, or begins to wait, only when that succeeded. */
  detach(record: AttachmentRecord): Promise<void>;
  /** Takes back what an interrupted or failed ADD may have left, the record included. */
  undo(record: AttachmentRecord): Promise<void>;
}

export interface Attached {
  readonly record: AttachmentRecord;
  /** None is whole too: vfio, vhost-user and memif have no kernel interface. */
  readonly link: KernelInterface | undefined;
}

export interface ApplierOptions {
  readonly book: RecordBook;
  readonly executor: Executor;
  readonly interfaces: InterfaceReader & DefaultRoutes;
  readonly namespaces: Namespaces;
  readonly gate: Gate;
  /** How long one network's plugins may take, for each verb afresh. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Callers hold the sandbox's lane: nothing else works on the sandbox meanwhile. */
export function createApplier(options: ApplierOptions): Applier {
  const { book, executor, interfaces, namespaces, gate, timeoutMs, clock, log } = options;
  const routes = createRouteKeeper({ book, interfaces, log });
  const lateAdds = createLateAdds({ clock, graceMs: timeoutMs });
  // Not the caller's signal: a chain that started must end well even when its caller left.
  const deadline = (): AbortSignal => AbortSignal.timeout(timeoutMs);

  async function attach(given: AttachmentRecord): Promise<Attached> {
    // Known before it is asked for: the agent may be killed meanwhile.
    const late = executor.daemons.includes(given.executor) ? true : undefined;
    let intent: AttachmentRecord = { ...given, late };
    await book.write(intent);
    /** What to undo when the next step fails. */
    let begun: AttachmentRecord | undefined;
    try {
      if (intent.replaces) {
        begun = { ...intent, chain: intent.replaces, replaces: undefined, late: undefined };
        await del(begun);
        begun = undefined;
      }
      if (intent.selection.defaultRoute) {
        // After the replaced one has put back what it found, and before anything changes again.
        intent = await routes.remember(intent, deadline());
        await book.write(intent);
      }
      const result = await gate.shared(async () => {
        // Long after it was planned, perhaps: the gate has a queue.
        requireFree(intent.ifName, await interfaces.list(intent.sandbox, deadline()));
        begun = { ...intent, replaces: undefined };
        return await executor.add(cniOf(intent), deadline());
      });
      // From here on DEL is owed ADD's result: some plugins undo nothing without it.
      const added = { ...intent, replaces: undefined, late: undefined, chain: { ...intent.chain, result } };
      begun = added;
      const links = await interfaces.list(intent.sandbox, deadline());
      const link = links.find((each) => each.name === intent.ifName);
      begun = { ...added, chain: { ...added.chain, ifIndex: link?.index } };
      begun = await routes.take(begun, link, deadline());
      const record: AttachmentRecord = {
        ...begun,
        state: "attached",
        restores: undefined,
        attachedAt: clock.now(),
      };
      await book.complete(record);
      return { record, link };
    } catch (error) {
      // What answered an error is over.
      if (begun?.late && !asPodplugError(error).mayGoOn) begun = { ...begun, late: undefined };
      await (begun ? undo(begun) : forget(intent)).catch((undoError: unknown) => {
        log.error(
          { ...factsOf(intent), err: undoError },
          "undoing a failed attach failed too; it is tried again",
        );
      });
      throw error;
    }
  }

  async function detach(record: AttachmentRecord): Promise<void> {
    const detaching: AttachmentRecord = { ...record, state: "detaching", failure: undefined };
    await book.write(detaching);
    await delAndForget(detaching);
  }

  async function undo(record: AttachmentRecord): Promise<void> {
    await delAndForget({ ...record, state: "failed", attachedAt: undefined });
  }

  async function delAndForget(given: AttachmentRecord): Promise<void> {
    let record = given;
    try {
      // The replaced one first: its index is known, so that only its own link goes.
      if (record.replaces) await del({ ...record, chain: record.replaces });
      record = { ...record, replaces: undefined };
      await del(record);
      lateAdds.requireOver(record);
      await forget(record);
    } catch (error) {
      const failed: AttachmentRecord = { ...record, failure: failureOf(error) };
      // When even this can't be written, the older record says enough: recovery cleans up from it as well.
      await book.write(failed).catch((writeError: unknown) => {
        log.error({ ...factsOf(record), err: writeError }, "noting a failed cleanup in the journal failed");
        book.note(failed);
      });
      throw error;
    }
  }

  /** Nothing of it is there. */
  async function forget(record: AttachmentRecord): Promise<void> {
    await (record.restores ? book.write({ ...asIntended(record), state: "waiting" }) : book.remove(record));
  }

  async function del(record: AttachmentRecord): Promise<void> {
    const { ifIndex, result } = record.chain;
    const isOwn = (link: KernelInterface): boolean => link.index === ifIndex;
    await gate.shared(async () => {
      const there = await namespaces.find(record.sandbox, deadline());
      requireName(record, there?.links ?? []);
      const taken = there?.links.some((link) => link.name === record.ifName && !isOwn(link));
      // In a namespace that is gone, or with its name passed to another link, there is nothing to remove.
      const netnsPath = ifIndex !== undefined && taken ? undefined : there?.netnsPath;
      await executor.del({ ...cniOf(record), netnsPath }, result, deadline());
    });
    if (ifIndex === undefined && !record.chain.routesBefore) return;
    const there = await namespaces.find(record.sandbox, deadline());
    const left = there?.links.find(isOwn);
    if (left) throw leftBehind(record, left, "the plugins say they removed it");
    if (there) await routes.giveBack(record, there, deadline());
  }

  return { attach, detach, undo };
}

/**
 * INTERFACE_LEFT when the attachment's link has another name by now. Plugins go
 * by names: they would free the address that the link still has, and remove
 * who has its name now.
 */
export function requireName(record: AttachmentRecord, links: readonly KernelInterface[]): void {
  const link = links.find(({ index }) => index === record.chain.ifIndex);
  if (link && link.name !== record.ifName) throw leftBehind(record, link, "DEL wouldn't find it");
}

function leftBehind(
  { ifName }: AttachmentRecord,
  { name, index }: KernelInterface,
  but: string,
): PodplugError {
  return new PodplugError(
    "INTERFACE_LEFT",
    `the kernel has interface ${ifName} as ${name} (index ${index}); ${but}`,
  );
}

/** The CNI parameters of a record. */
export function cniOf(record: AttachmentRecord): CniAttachment {
  const { chain } = record;
  return {
    containerId: record.sandbox.id,
    ifName: record.ifName,
    netnsPath: record.sandbox.netnsPath,
    executor: record.executor,
    networkName: chain.networkName,
    config: chain.config,
    cniArgs: chain.cniArgs,
    capabilityArgs: chain.capabilityArgs,
  };
}

/** What every log line about an attachment carries. */
export function factsOf(record: AttachmentRecord): object {
  const pod = record.sandbox.pod;
  return {
    attachment: record.id,
    sandbox: record.sandbox.id,
    interface: record.ifName,
    network: record.network,
    ...(pod && { pod: `${pod.namespace}/${pod.name}` }),
  };
}
