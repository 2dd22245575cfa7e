import type { Clock } from "../domain/clock.ts";
import { failureOf, PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { CniAttachment, Executor } from "../executor/contract.ts";
import type { InterfaceReader, KernelInterface } from "../interfaces/contract.ts";
import type { Gate } from "./gate.ts";
import type { AttachmentRecord, RecordedChain } from "./journal.ts";
import type { Namespaces } from "./namespaces.ts";
import type { RecordBook } from "./record-book.ts";

export interface Applier {
  /**
   * Carries a record from intent to attached. `intent` is durable before the
   * first plugin starts. When anything fails, what was begun is undone and the
   * first failure is thrown; a record whose undoing failed stays as `failed`.
   */
  attach(intent: AttachmentRecord): Promise<Attached>;
  /** DEL from the record alone; the record goes only when that succeeded. */
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
  readonly interfaces: InterfaceReader;
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
  // Not the caller's signal: a chain that started must end well even when its caller left.
  const deadline = (): AbortSignal => AbortSignal.timeout(timeoutMs);

  async function attach(intent: AttachmentRecord): Promise<Attached> {
    await book.write(intent);
    try {
      if (intent.replaces) await del(intent, intent.replaces);
      const result = await gate.shared(() => executor.add(cniOf(intent), deadline()));
      const links = await interfaces.list(intent.sandbox, deadline());
      const link = links.find((each) => each.name === intent.ifName);
      const record: AttachmentRecord = {
        ...intent,
        state: "attached",
        replaces: undefined,
        attachedAt: clock.now(),
        chain: { ...intent.chain, result, ifIndex: link?.index },
      };
      await book.complete(record);
      return { record, link };
    } catch (error) {
      await undo({ ...intent, failure: failureOf(error) }).catch((undoError: unknown) => {
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
    await delAndForget({ ...record, state: "failed" });
  }

  async function delAndForget(record: AttachmentRecord): Promise<void> {
    try {
      await del(record, record.chain);
      if (record.replaces) await del(record, record.replaces);
      await book.remove(record);
    } catch (error) {
      const failed: AttachmentRecord = { ...record, failure: record.failure ?? failureOf(error) };
      // When even this can't be written, the older record says enough: recovery cleans up from it as well.
      await book.write(failed).catch((writeError: unknown) => {
        log.error({ ...factsOf(record), err: writeError }, "noting a failed cleanup in the journal failed");
        book.note(failed);
      });
      throw error;
    }
  }

  async function del(record: AttachmentRecord, chain: RecordedChain): Promise<void> {
    // A path that leads to another namespace by now was recycled: DEL then runs without CNI_NETNS.
    const netnsPath = await namespaces.livePath(record.sandbox, deadline());
    await gate.shared(() => executor.del({ ...cniOf(record, chain), netnsPath }, chain.result, deadline()));
    if (netnsPath === undefined || chain.ifIndex === undefined) return;
    const links = await interfaces.list({ netnsPath }, deadline());
    const left = links.find((link) => link.index === chain.ifIndex);
    if (left) {
      throw new PodplugError(
        "INTERFACE_LEFT",
        `the plugins removed ${record.ifName}, but the kernel still has it as ${left.name} (index ${left.index})`,
      );
    }
  }

  return { attach, detach, undo };
}

/** The CNI parameters of a record; without a namespace's path where the namespace is gone. */
export function cniOf(record: AttachmentRecord, chain: RecordedChain = record.chain): CniAttachment {
  return {
    containerId: record.sandbox.id,
    ifName: record.ifName,
    netnsPath: record.sandbox.netnsPath,
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
