import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { FileSteps } from "./file-steps.ts";
import type { AttachmentJournal, AttachmentRecord } from "./journal.ts";
import { decodeRecord, encodeRecord } from "./record-file.ts";

const temporarySuffix = ".tmp";

/**
 * One file for each attachment, in libcni's cache form with our own keys
 * beside it, so that libcni's tools can read it. A file is written beside the
 * old one, synced and renamed: whatever happens, there is the old record or
 * the new one, whole.
 */
export async function createFileJournal(options: {
  /** Made when missing, open to nobody else. */
  readonly stateDir: string;
  readonly steps: FileSteps;
  readonly log: Logger;
}): Promise<AttachmentJournal> {
  const { stateDir, steps, log } = options;
  const directory = join(stateDir, "results");
  const damaged = join(stateDir, "damaged");
  /** Files to leave alone, never to overwrite, and why. */
  const untouchable = new Map<string, string>();
  let writes = 0;

  await doing("making the journal's directory", async () => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await mkdir(damaged, { recursive: true, mode: 0o700 });
    await steps.syncDirectory(stateDir);
  });

  async function load(): Promise<readonly AttachmentRecord[]> {
    return await doing("reading the journal", async () => {
      const records: AttachmentRecord[] = [];
      for (const name of (await steps.list(directory)).toSorted()) {
        const record = await loadFile(name).catch((error: unknown) => leaveAlone(name, error));
        if (record) records.push(record);
      }
      return records;
    });
  }

  async function loadFile(name: string): Promise<AttachmentRecord | undefined> {
    const path = join(directory, name);
    if (name.endsWith(temporarySuffix)) {
      // A write that was cut off: the file it would have replaced is whole.
      await steps.unlink(path);
      return undefined;
    }
    const decoded = decodeRecord(await steps.read(path));
    switch (decoded.kind) {
      case "record":
        if (fileNameOf(decoded.record) === name) return decoded.record;
        log.warn({ file: path }, "a journal file has another record's name; it is left alone");
        return undefined;
      case "foreign":
        log.warn({ file: path }, "a file in the journal isn't podplug's; it is left alone");
        return undefined;
      case "newer":
        untouchable.set(name, "was written by a newer podplug");
        log.error(
          { file: path, version: decoded.version },
          "a journal file was written by a newer podplug; its attachment is left alone until that runs again",
        );
        return undefined;
      case "damaged": {
        const kept = join(damaged, `${Date.now()}-${name}`);
        await steps.rename(path, kept);
        log.error({ file: path, fault: decoded.fault, kept }, "a journal file is damaged; it is set aside");
        return undefined;
      }
    }
  }

  /** One file that can't be read or set aside must not stop the rest. */
  function leaveAlone(name: string, error: unknown): undefined {
    if (faultsOfTheProcess.includes(systemCodeOf(error) ?? "")) throw error;
    untouchable.set(name, "couldn't be read");
    log.error({ file: join(directory, name), err: error }, "a journal file can't be read; it is left alone");
  }

  function pathOf(record: AttachmentRecord): string {
    const name = fileNameOf(record);
    const path = join(directory, name);
    const fault = untouchable.get(name);
    if (fault === undefined) return path;
    throw new PodplugError("JOURNAL_FAILED", `${path}, of the same sandbox and interface, ${fault}`);
  }

  /** The file has the record's whole content, or the one it had before. */
  async function replace(record: AttachmentRecord): Promise<void> {
    const path = pathOf(record);
    writes += 1;
    const temporary = `${path}.${process.pid}-${writes}${temporarySuffix}`;
    await doing(`writing the record of ${record.ifName}`, async () => {
      try {
        await steps.writeSynced(temporary, encodeRecord(record));
        await steps.rename(temporary, path);
      } catch (error) {
        // What is left goes at the next start; why the write failed is what matters.
        await steps.unlink(temporary).catch(() => undefined);
        throw error;
      }
    });
  }

  return {
    load,

    async write(record) {
      await replace(record);
      await doing(`writing the record of ${record.ifName}`, () => steps.syncDirectory(directory));
    },

    complete: replace,

    async remove(record) {
      // Not synced: should it come back after a power failure, its DEL runs once more.
      await doing(`removing the record of ${record.ifName}`, () => steps.unlink(pathOf(record)));
    },

    async missing() {
      return await doing("looking for damaged records", async () => {
        return untouchable.size + (await steps.list(damaged)).length;
      });
    },
  };
}

/** A hash of (container ID, interface), so that a network's name can be long and a replacement has one record. */
function fileNameOf(record: AttachmentRecord): string {
  const hash = createHash("sha256").update(`${record.sandbox.id}\0${record.ifName}`).digest("hex");
  return `${hash.slice(0, 32)}.json`;
}

async function doing<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof PodplugError) throw error;
    const code = systemCodeOf(error);
    const plain = code === undefined ? undefined : plainCauses[code];
    throw new PodplugError("JOURNAL_FAILED", `${what} failed: ${plain ?? messageOf(error)}`, {
      cause: error,
    });
  }
}

/** With these no file can be read: they would pass for a journal without records. */
const faultsOfTheProcess: readonly string[] = ["EMFILE", "ENFILE", "ENOMEM"];

const plainCauses: Readonly<Record<string, string>> = {
  ENOSPC: "no space left on the device",
  EDQUOT: "the disk quota is used up",
  EROFS: "the file system is read-only",
  EACCES: "permission denied",
  EMFILE: "too many open files",
};
