import type { InterfaceEvent, PodInterface } from "../domain/node-api.ts";
import { type PodKey, podKeyOf } from "../domain/pod.ts";

/**
 * Which pods have attachments, as the API's events tell it: most pods of a
 * node have none, and needn't be looked into.
 */
export class KnownAttachments {
  #pods = new Map<PodKey, Set<string>>();
  /** Those that a reconciler is detaching. */
  readonly #leaving = new Set<string>();
  /** Of a stream that hasn't told all of it yet. */
  #snapshot: Map<PodKey, Set<string>> | undefined = new Map();

  /** A new stream: it tells all that there is, and then `synced`. */
  restart(): void {
    this.#snapshot = new Map();
    this.#leaving.clear();
  }

  /** The end of it will be no surprise, whether it is told before or after the answer. */
  expectEnd(attachmentId: string): void {
    this.#leaving.add(attachmentId);
  }

  expectNoEnd(attachmentId: string): void {
    this.#leaving.delete(attachmentId);
  }

  isExpected(event: InterfaceEvent): boolean {
    return event.kind === "detached" && this.#leaving.has(event.interface.attachmentId);
  }

  note(event: InterfaceEvent): void {
    if (event.kind === "synced") {
      this.#pods = this.#snapshot ?? this.#pods;
      this.#snapshot = undefined;
      return;
    }
    // One that failed is no attachment, or one that is known already.
    if (event.kind === "failed") return;
    const key = podKeyOfInterface(event.interface);
    if (key === undefined) return;
    const pods = this.#snapshot ?? this.#pods;
    const ids = pods.get(key) ?? new Set();
    if (event.kind === "detached") {
      ids.delete(event.interface.attachmentId);
      this.#leaving.delete(event.interface.attachmentId);
    } else ids.add(event.interface.attachmentId);
    if (ids.size > 0) pods.set(key, ids);
    else pods.delete(key);
  }

  has(key: PodKey): boolean {
    return this.#pods.has(key);
  }

  keys(): readonly PodKey[] {
    return [...this.#pods.keys()];
  }
}

/** None for a bare namespace's. */
export function podKeyOfInterface({ pod }: PodInterface): PodKey | undefined {
  return pod && podKeyOf(pod);
}
