import type { Clock } from "../domain/clock.ts";
import type { Reason } from "../domain/reasons.ts";
import type { PodRef } from "../domain/target.ts";
import { isSameNetns, type NetnsIdentity } from "../interfaces/contract.ts";
import type { Sandbox } from "./contract.ts";

/** What was learnt of a sandbox: where it is, or why it is refused, or both. */
export interface KnownSandbox {
  readonly id: string;
  readonly pod?: PodRef | undefined;
  readonly sandbox?: Sandbox | undefined;
  /** To its namespace by its first process, where the runtime tells one. */
  readonly processPath?: string | undefined;
  readonly refusal?: { readonly reason: Reason; readonly message: string } | undefined;
}

/** For so long a pod without a UID is answered without looking whether a newer one has its name. */
const nameTrustMs = 10_000;
/**
 * For so long nobody asks the runtime again whether it is ready: one change of a
 * pod is several calls, and the runtime's answer is as old as this on its way
 * when the node is busy. The namespace is looked at each time all the same.
 */
const readyTrustMs = 250;
/** More than a node runs: what lies longest unused goes. */
const mostKnown = 2_048;

/** A memory of sandboxes by ID. It asks nobody: what it says was true when it was remembered. */
export function createKnownSandboxes(clock: Clock) {
  interface Entry extends KnownSandbox {
    readonly confirmedAtMs: number;
    readonly readyAtMs: number;
  }
  const entries = new Map<string, Entry>();
  const nowMs = (): number => clock.steadyMs();

  function remember(entry: KnownSandbox): void {
    entries.delete(entry.id);
    entries.set(entry.id, { ...entry, confirmedAtMs: nowMs(), readyAtMs: nowMs() });
    const [oldest] = entries.keys();
    if (entries.size > mostKnown && oldest !== undefined) entries.delete(oldest);
  }

  return {
    get: (id: string): KnownSandbox | undefined => entries.get(id),
    remember,
    /** The runtime listed it again. */
    confirm<T extends KnownSandbox>(entry: T): T {
      remember(entry);
      return entry;
    },
    /** The runtime just said that it is ready. */
    sawReady(id: string): void {
      const entry = entries.get(id);
      if (entry) entries.set(id, { ...entry, readyAtMs: nowMs() });
    },
    wasJustReady(id: string): boolean {
      return nowMs() - (entries.get(id)?.readyAtMs ?? Number.NEGATIVE_INFINITY) < readyTrustMs;
    },
    forget: (id: string): void => void entries.delete(id),
    keepOnly(ids: ReadonlySet<string>): void {
      for (const id of entries.keys()) if (!ids.has(id)) entries.delete(id);
    },
    /**
     * Undefined when the runtime must be asked: nothing is known, more than
     * one, or only the name is given and what is known is old.
     */
    ofPod({ namespace, name, uid }: PodRef): KnownSandbox | undefined {
      const [entry, ...others] = [...entries.values()].filter(
        ({ pod }) =>
          pod?.namespace === namespace && pod.name === name && (uid === undefined || pod.uid === uid),
      );
      if (!entry || others.length > 0) return undefined;
      const ageMs = nowMs() - entry.confirmedAtMs;
      return uid !== undefined || ageMs < nameTrustMs ? entry : undefined;
    },
    ofNetns(netns: NetnsIdentity): KnownSandbox | undefined {
      return entries.values().find(({ sandbox }) => sandbox && isSameNetns(sandbox.netns, netns));
    },
  };
}
