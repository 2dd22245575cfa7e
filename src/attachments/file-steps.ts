import {
  closeSync,
  constants,
  fsync as fsyncFile,
  open as openFile,
  openSync,
  writeFile as writeToFile,
} from "node:fs";
import { open as openHandle, readdir, rename, rm } from "node:fs/promises";
import { promisify } from "node:util";

const open = promisify(openFile);
const writeFile = promisify(writeToFile);
const fsync = promisify(fsyncFile);

/** A new file, whose writes return when they are on the disk. */
const newAndSynced = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC;

/** A record is a few kilobytes, and a plugin's result a few megabytes at most: what is larger is no record of ours. */
const maxReadBytes = 32 * 1024 * 1024;

/**
 * The steps a durable file is made of, one by one, so that tests can fail or
 * end the process at each of them.
 */
export interface FileSteps {
  /** Creates a file of mode 0600 that must not exist yet, and syncs its content. */
  writeSynced(path: string, content: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Makes the directory's entries durable. */
  syncDirectory(path: string): Promise<void>;
  /** Does nothing when there is no such file. */
  unlink(path: string): Promise<void>;
  list(directory: string): Promise<readonly string[]>;
  /** Of a file of moderate size alone: whatever else lies there may neither hold up a start nor fill the memory. */
  read(path: string): Promise<Uint8Array>;
}

export function createFileSteps(): FileSteps {
  return {
    async writeSynced(path, content) {
      const fd = await open(path, newAndSynced, 0o600);
      try {
        await writeFile(fd, content);
      } finally {
        closeSync(fd);
      }
    },
    rename,
    syncDirectory: sharedSync(async (path) => {
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
      try {
        await fsync(fd);
      } finally {
        closeSync(fd);
      }
    }),
    unlink: (path) => rm(path, { force: true }),
    list: readdir,
    async read(path) {
      // A FIFO without a writer would keep whoever opens it waiting.
      await using handle = await openHandle(path, constants.O_RDONLY | constants.O_NONBLOCK);
      const facts = await handle.stat();
      if (!facts.isFile()) throw new Error(`${path} isn't a file`);
      if (facts.size > maxReadBytes) throw new Error(`${path} has ${facts.size} bytes, more than any record`);
      return await handle.readFile();
    },
  };
}

/**
 * Many writers that want the same directory synced at once share one sync: not
 * the one that runs, which began before their entries were there, but the next.
 */
function sharedSync(sync: (path: string) => Promise<void>): (path: string) => Promise<void> {
  const running = new Map<string, Promise<void>>();
  const next = new Map<string, Promise<void>>();

  async function start(path: string): Promise<void> {
    const work = sync(path).finally(() => running.delete(path));
    running.set(path, work);
    await work;
  }

  return (path) => {
    const current = running.get(path);
    if (!current) return start(path);
    let waiting = next.get(path);
    if (!waiting) {
      const begin = (): Promise<void> => {
        next.delete(path);
        return start(path);
      };
      waiting = current.then(begin, begin);
      next.set(path, waiting);
    }
    return waiting;
  };
}
