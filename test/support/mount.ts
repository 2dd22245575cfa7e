import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

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
