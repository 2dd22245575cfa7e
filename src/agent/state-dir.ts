import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import { lockStateDir } from "../state-lock.ts";

/** Makes the directory and holds it; its identity names this agent among others, across restarts. */
export async function claimStateDir(stateDir: string, cleanup: AsyncDisposableStack): Promise<string> {
  try {
    await makeDirectory(stateDir);
    cleanup.use(await lockStateDir(stateDir));
    const { dev, ino } = await stat(stateDir, { bigint: true });
    return `${dev}-${ino}`;
  } catch (error) {
    if (error instanceof PodplugError) throw error;
    if (["EEXIST", "ENOTDIR"].includes(systemCodeOf(error) ?? "")) {
      throw new PodplugError("INVALID_CONFIGURATION", `stateDir ${stateDir} isn't a directory`, {
        cause: error,
      });
    }
    throw new PodplugError("JOURNAL_FAILED", `stateDir ${stateDir} can't be used: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** With the ones above it. Node's own way never ends where a file system refuses new directories, as /proc does. */
async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || (await isThere(dirname(path)))) throw error;
    await makeDirectory(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}
