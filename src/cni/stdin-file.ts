import { closeSync, constants, openSync, writeSync } from "node:fs";

/** Memory, and there in every container, also with a read-only root. */
const memoryDirectory = "/dev/shm";

/** Linux' O_TMPFILE, which Node doesn't name: a file that never has a name, so nothing is ever left behind. */
const withoutName = 0o20000000 | constants.O_DIRECTORY;

/**
 * A file descriptor to read `text` from, to be closed by the caller, or
 * undefined where there is no such memory.
 *
 * What Node calls a pipe is a socket, and a socket can't be opened again by
 * name: a plugin in shell that reads `/dev/stdin` would fail.
 */
export function openStdinFile(text: string): number | undefined {
  let fd: number;
  try {
    fd = openSync(memoryDirectory, constants.O_RDWR | constants.O_EXCL | withoutName, 0o600);
  } catch {
    return undefined;
  }
  try {
    const bytes = Buffer.from(text);
    // By position, which leaves the file's own at the beginning.
    for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, done);
    return fd;
  } catch {
    closeSync(fd);
    return undefined;
  }
}
