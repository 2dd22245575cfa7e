import { execFile } from "node:child_process";
import { mkdir, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { systemCodeOf } from "../../src/domain/errors.ts";

const execute = promisify(execFile);

/** A file system of a test's own; only inside test/sandbox.sh. */
export interface TestMount extends AsyncDisposable {
  readonly path: string;
  /** Covers it with itself, read-only, until disposed of: descriptors that are open stay writable. */
  coverReadOnly(): Promise<AsyncDisposable>;
}

/** In memory, as large as `size` says: `64k`. */
export async function mountTmpfs(path: string, size: string): Promise<TestMount> {
  await mkdir(path, { recursive: true });
  await execute("mount", ["-t", "tmpfs", "-o", `size=${size},mode=0700`, "podplug-test", path]);
  const unmount = async (): Promise<void> => void (await execute("umount", ["--lazy", path]));
  return {
    path,
    async coverReadOnly() {
      await execute("mount", ["--bind", path, path]);
      await execute("mount", ["-o", "remount,bind,ro", path]);
      return { [Symbol.asyncDispose]: unmount };
    },
    [Symbol.asyncDispose]: unmount,
  };
}

/** Writes until there is no room for another byte. */
export async function fill(file: string): Promise<void> {
  for (const size of [4096, 1]) {
    for (;;) {
      try {
        await writeFile(file, Buffer.alloc(size), { flag: "a" });
      } catch (error) {
        if (systemCodeOf(error) === "ENOSPC") break;
        throw error;
      }
    }
  }
}
