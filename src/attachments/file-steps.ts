import { open, readdir, readFile, rename, rm } from "node:fs/promises";

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
      await using file = await open(path, "wx", 0o600);
      await file.writeFile(content);
      await file.datasync();
    },
    rename,
    syncDirectory: sharedSync(async (path) => {
      await using directory = await open(path, "r");
      await directory.sync();
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
