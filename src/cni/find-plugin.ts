import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { isAbsolute, join } from "node:path";
import { PodplugError, systemCodeOf } from "../domain/errors.ts";
import { isPluginType } from "./plugin-config.ts";

/**
 * The path of a plugin's executable: the first of the directories that holds
 * one (spec 1.1.0, section 2; symbolic links are followed). Throws
 * PLUGIN_NOT_FOUND naming the directories, or INVALID_NETWORK for a type that
 * would lead out of them.
 */
export async function findPlugin(type: string, binDirs: readonly string[]): Promise<string> {
  if (!isPluginType(type)) {
    throw new PodplugError("INVALID_NETWORK", `plugin type ${JSON.stringify(type)} isn't a file's name`);
  }
  const rejected: string[] = [];
  // Plugins run in the root directory, where a relative path would mean another file.
  for (const directory of binDirs.filter(isAbsolute)) {
    const path = join(directory, type);
    const fault = await executableFault(path);
    if (fault === undefined) return path;
    if (fault !== "") rejected.push(`${path} ${fault}`);
  }
  const searched = binDirs.length === 0 ? "no directory is configured" : `searched ${binDirs.join(", ")}`;
  const message = `plugin ${type} isn't installed: ${[searched, ...rejected].join("; ")}`;
  throw new PodplugError("PLUGIN_NOT_FOUND", message, { plugin: type });
}

/** Why a path can't be run: undefined when it can, empty when there is nothing. */
async function executableFault(path: string): Promise<string | undefined> {
  try {
    const facts = await stat(path);
    if (!facts.isFile()) return "isn't a file";
    await access(path, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return "";
    return code === "EACCES" ? "isn't executable" : `can't be read (${code ?? String(error)})`;
  }
}
