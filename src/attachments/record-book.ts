import type { PodRef } from "../domain/target.ts";
import { isSameNetns } from "../interfaces/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";
import type { AttachmentJournal, AttachmentRecord } from "./journal.ts";
import { recordKey } from "./journal.ts";

function isSamePod(a: PodRef | undefined, b: PodRef): boolean {
  return a?.namespace === b.namespace && a.name === b.name && a.uid === b.uid;
}

/** The records in memory, each no newer than what the journal has: written first, known after. */
export class RecordBook {
  readonly #journal: AttachmentJournal;
  readonly #records = new Map<string, AttachmentRecord>();
  /** Refused ones whose file may be in place, by their keys. */
  readonly #astray = new Map<string, AttachmentRecord>();

  constructor(journal: AttachmentJournal) {
    this.#journal = journal;
  }

  async load(): Promise<void> {
    for (const record of await this.#journal.load()) this.#records.set(recordKey(record), record);
  }

  async write(record: AttachmentRecord): Promise<void> {
    try {
      await this.#journal.write(record);
    } catch (error) {
      // Why the write failed is what matters; what is astray is put back later.
      await this.putBack(record).catch(() => undefined);
      throw error;
    }
    this.#know(record);
  }

  /**
   * A write may fail with its file in place (when the directory can't be
   * synced): a restart would then carry out a change that was refused.
   */
  async putBack(refused: AttachmentRecord): Promise<void> {
    const key = recordKey(refused);
    const known = this.#records.get(key);
    this.#astray.set(key, refused);
    await (known ? this.#journal.complete(known) : this.#journal.remove(refused));
    this.#astray.delete(key);
  }

  /** What is still to be put back. */
  astray(): readonly AttachmentRecord[] {
    return [...this.#astray.values()];
  }

  async complete(record: AttachmentRecord): Promise<void> {
    await this.#journal.complete(record);
    this.#know(record);
  }

  #know(record: AttachmentRecord): void {
    this.#records.set(recordKey(record), record);
    this.#astray.delete(recordKey(record));
  }

  /** What is known now but couldn't be written: recovery would come to the same end from the older record. */
  note(record: AttachmentRecord): void {
    this.#records.set(recordKey(record), record);
  }

  async remove(record: AttachmentRecord): Promise<void> {
    await this.#journal.remove(record);
    this.#records.delete(recordKey(record));
    this.#astray.delete(recordKey(record));
  }

  all(): readonly AttachmentRecord[] {
    return [...this.#records.values()];
  }

  /** What is there, or not wholly gone; not what waits. */
  ofSandbox(sandboxId: string): readonly AttachmentRecord[] {
    return this.all().filter(({ sandbox, state }) => sandbox.id === sandboxId && state !== "waiting");
  }

  /** What waits to be attached again in this sandbox: in its own namespace, or for the next one of its pod, which it may be. */
  waitingFor({ pod, netns }: Pick<Sandbox, "pod" | "netns">): readonly AttachmentRecord[] {
    return this.all().filter(
      ({ state, sandbox }) =>
        state === "waiting" &&
        (isSameNetns(sandbox.netns, netns) || (pod !== undefined && isSamePod(sandbox.pod, pod))),
    );
  }

  byId(attachmentId: string): AttachmentRecord | undefined {
    return this.all().find((record) => record.id === attachmentId);
  }

  get(sandboxId: string, ifName: string): AttachmentRecord | undefined {
    return this.#records.get(recordKey({ sandbox: { id: sandboxId }, ifName }));
  }
}
