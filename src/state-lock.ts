import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { PodplugError } from "./domain/errors.ts";

const exclusiveWithoutWaiting = 2 | 4;

/**
 * Holds the state directory for this process alone. The kernel lets go of it
 * when the process ends, however it does, so that it is never stale: two
 * agents on one journal would undo each other's work. INVALID_CONFIGURATION
 * when another process holds it. Keep the handle open; closing it lets go.
 */
export async function lockStateDir(stateDir: string): Promise<FileHandle> {
  const { default: koffi } = await import("koffi");
  const flock = koffi.load(null).func("int flock(int fd, int operation)") as (
    fd: number,
    operation: number,
  ) => number;
  const handle = await open(join(stateDir, "lock"), "a", 0o600);
  if (flock(handle.fd, exclusiveWithoutWaiting) === 0) return handle;
  await handle.close();
  throw new PodplugError("INVALID_CONFIGURATION", `another agent is running on stateDir ${stateDir}`);
}
