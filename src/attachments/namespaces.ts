import { PodplugError } from "../domain/errors.ts";
import type { InterfaceReader, KernelInterface } from "../interfaces/contract.ts";
import { isSameNetns } from "../interfaces/contract.ts";
import type { Sandbox, SandboxLocator } from "../sandbox/contract.ts";
import type { AttachmentRecord } from "./journal.ts";

/** A sandbox's own namespace, as it was found. */
export interface LiveNamespace {
  readonly netnsPath: string;
  readonly links: readonly KernelInterface[];
}

/** The namespaces of sandboxes, told apart by identity: paths and PIDs are recycled. */
export interface Namespaces {
  /** Where the sandbox's own namespace can be entered now, and what is in it; undefined when it is gone. */
  find(sandbox: Sandbox, signal: AbortSignal): Promise<LiveNamespace | undefined>;
  /** The same question, asked so that it costs little while the answer is no. */
  isGone(sandbox: Sandbox, signal: AbortSignal): Promise<boolean>;
  /**
   * The record, for work on a sandbox that was located just now. Its own path
   * stays while it leads there, as CNI wants it to be the same for each verb.
   */
  reach(record: AttachmentRecord, located: Sandbox, signal: AbortSignal): Promise<AttachmentRecord>;
}

export function createNamespaces(interfaces: InterfaceReader, sandboxes: SandboxLocator): Namespaces {
  /** Undefined when the path leads nowhere, or to another namespace. */
  async function look(
    netnsPath: string,
    { netns }: Sandbox,
    signal: AbortSignal,
  ): Promise<LiveNamespace | undefined> {
    try {
      return { netnsPath, links: await interfaces.list({ netnsPath, netns }, signal) };
    } catch (error) {
      if (isGone(error)) return undefined;
      throw error;
    }
  }

  async function find(sandbox: Sandbox, signal: AbortSignal): Promise<LiveNamespace | undefined> {
    const found = await look(sandbox.netnsPath, sandbox, signal);
    if (found) return found;
    // The namespace of a process that ended may live on under a name.
    const elsewhere = (await sandboxes.list(signal)).find(({ netns }) => isSameNetns(netns, sandbox.netns));
    // Or without one, by other processes: a DEL that left its interface there would give away an address in use.
    const netnsPath = elsewhere?.netnsPath ?? (await interfaces.search(sandbox.netns, signal));
    return netnsPath === undefined ? undefined : await look(netnsPath, sandbox, signal);
  }

  return {
    find,
    async isGone(sandbox, signal) {
      try {
        if (isSameNetns(await interfaces.identify(sandbox.netnsPath, signal), sandbox.netns)) return false;
      } catch (error) {
        if (!isGone(error)) throw error;
      }
      return (await find(sandbox, signal)) === undefined;
    },

    async reach(record, located, signal) {
      const { netnsPath } = record.sandbox;
      if (netnsPath === located.netnsPath || (await look(netnsPath, located, signal))) return record;
      // Of a process that ended, say, while others of the pod go on.
      return { ...record, sandbox: { ...record.sandbox, netnsPath: located.netnsPath } };
    },
  };
}

/** Whether a look into a namespace failed because there is none behind the path any more. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof PodplugError &&
    (error.reason === "TARGET_NOT_FOUND" ||
      error.reason === "TARGET_INVALID" ||
      error.reason === "SANDBOX_NOT_READY")
  );
}
