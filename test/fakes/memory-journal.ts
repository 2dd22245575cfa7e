import type { AttachmentJournal, AttachmentRecord } from "../../src/attachments/journal.ts";
import { recordKey } from "../../src/attachments/journal.ts";

/** A journal that outlives the engine that writes it, but not the test. */
export class MemoryJournal implements AttachmentJournal {
  readonly #records = new Map<string, AttachmentRecord>();

  async load(): Promise<readonly AttachmentRecord[]> {
    return [...this.#records.values()];
  }

  async write(record: AttachmentRecord): Promise<void> {
    this.#records.set(recordKey(record), record);
  }

  async complete(record: AttachmentRecord): Promise<void> {
    await this.write(record);
  }

  async remove(record: AttachmentRecord): Promise<void> {
    this.#records.delete(recordKey(record));
  }

  async missing(): Promise<number> {
    return 0;
  }
}
