import {
  closeSync,
  constants,
  fsync as fsyncFile,
  open as openFile,
  openSync,
  writeFile as writeToFile,
} from "node:fs";
import { readdir, readFile, rename, rm } from "node:fs/promises";
import { promisify } from "node:util";

const open = promisify(openFile);
const writeFile = promisify(writeToFile);
const fsync = promisify(fsyncFile);

/** A new file, whose writes return when they are on the disk. */
const newAndSynced = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_DSYNC;

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
    read: (path) => readFile(path),
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
