import { type FileHandle, open } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { getSystemErrorMessage } from "node:util";
import { PodplugError } from "./domain/errors.ts";
import type { Reason } from "./domain/reasons.ts";

const exclusiveWithoutWaiting = 2 | 4;

/**
 * Holds the state directory for this process alone: two agents on one journal
 * would undo each other's work. INVALID_CONFIGURATION when another process
 * holds it, JOURNAL_FAILED where files can't be locked.
 */
export async function lockStateDir(stateDir: string): Promise<FileHandle> {
  const refused = "another agent is running on stateDir";
  return await lockFile(join(stateDir, "lock"), `${refused} ${stateDir}`);
}

/**
 * Holds a file, made when missing, for this process alone. The kernel lets go
 * of it when the process ends, however it does, so that it is never stale.
 * `reason` with the message `refused` when another one holds it, JOURNAL_FAILED
 * where files can't be locked. Keep the handle open; closing it lets go.
 */
export async function lockFile(
  file: string,
  refused: string,
  reason: Reason = "INVALID_CONFIGURATION",
): Promise<FileHandle> {
  const { default: koffi } = await import("koffi");
  const flock = koffi.load(null).func("int flock(int fd, int operation)") as (
    fd: number,
    operation: number,
  ) => number;
  const handle = await open(file, "a", 0o600);
  if (flock(handle.fd, exclusiveWithoutWaiting) === 0) return handle;
  const errno = koffi.errno();
  await handle.close();
  throw errno === constants.errno.EWOULDBLOCK
    ? new PodplugError(reason, refused)
    : new PodplugError("JOURNAL_FAILED", `${file} can't be locked: ${getSystemErrorMessage(-errno)}`);
}
