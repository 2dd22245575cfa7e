import { randomBytes } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";

const keyForm = /^[0-9a-f]{64}$/;

/**
 * Where the key lies by which `podplug server` knows a controller in a process
 * of its own. Who can read the state directory is trusted with all of it.
 */
export function controllerKeyFile(stateDir: string): string {
  return join(stateDir, "controller.key");
}

/** The key of this state directory, made at its first use; it outlives restarts. JOURNAL_FAILED when it can't be kept. */
export async function keepControllerKey(stateDir: string): Promise<string> {
  const file = controllerKeyFile(stateDir);
  try {
    const kept = await readKept(file);
    if (kept !== undefined) return kept;
    const key = randomBytes(32).toString("hex");
    const unfinished = `${file}.new`;
    {
      await using made = await open(unfinished, "w", 0o600);
      await made.writeFile(`${key}\n`);
      await made.sync();
    }
    await rename(unfinished, file);
    return key;
  } catch (cause) {
    throw new PodplugError(
      "JOURNAL_FAILED",
      `the controller's key ${file} can't be kept: ${messageOf(cause)}`,
      {
        cause,
      },
    );
  }
}

/** Undefined when there is none, or a part of one that a power cut left. */
async function readKept(file: string): Promise<string | undefined> {
  try {
    const text = (await readFile(file, "utf8")).trim();
    return keyForm.test(text) ? text : undefined;
  } catch (error) {
    if (systemCodeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
