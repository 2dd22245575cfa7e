import { readdirSync, readlinkSync } from "node:fs";

/**
 * The namespace files of processes that are in the namespace of this inode
 * number, as far as their links tell: whoever uses one must look whether it
 * still leads there.
 */
export function pathsOfProcessesIn(inodeNumber: string): readonly string[] {
  const wanted = `net:[${inodeNumber}]`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => `/proc/${pid}/ns/net`)
    .filter((path) => leadsTo(path) === wanted);
}

/** Undefined for a process that has ended meanwhile, or is another user's. */
function leadsTo(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}
