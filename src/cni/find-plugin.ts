import { accessSync, constants, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { PodplugError, systemCodeOf } from "../domain/errors.ts";
import { type SeenAt, seenInPlace } from "../domain/host-path.ts";
import { isPluginType } from "./plugin-config.ts";

/**
 * The path of a plugin's executable: the first of the directories that holds
 * one (spec 1.1.0, section 2; symbolic links are followed), as those who run it
 * have it. Throws
 * PLUGIN_NOT_FOUND naming the directories, or INVALID_NETWORK for a type that
 * would lead out of them.
 *
 * Synchronous: these are a few looks at local directories, each a hundredth
 * of the time that handing it to another thread takes.
 */
export function findPlugin(type: string, binDirs: readonly string[], seenAt: SeenAt = seenInPlace): string {
  if (!isPluginType(type)) {
    throw new PodplugError("INVALID_NETWORK", `plugin type ${JSON.stringify(type)} isn't a file's name`);
  }
  const rejected: string[] = [];
  // Plugins run in the root directory, where a relative path would mean another file.
  for (const directory of binDirs.filter(isAbsolute)) {
    const path = join(directory, type);
    const fault = executableFault(seenAt(path));
    if (fault === undefined) return path;
    if (fault !== "") rejected.push(`${path} ${fault}`);
  }
  const searched = binDirs.length === 0 ? "no directory is configured" : `searched ${binDirs.join(", ")}`;
  const message = `plugin ${type} isn't installed: ${[searched, ...rejected].join("; ")}`;
  throw new PodplugError("PLUGIN_NOT_FOUND", message, { plugin: type });
}

/** Why a path can't be run: undefined when it can, empty when there is nothing. */
function executableFault(path: string): string | undefined {
  try {
    const facts = statSync(path, { throwIfNoEntry: false });
    if (facts === undefined) return "";
    if (!facts.isFile()) return "isn't a file";
    accessSync(path, constants.X_OK);
    return undefined;
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return "";
    return code === "EACCES" ? "isn't executable" : `can't be read (${code ?? String(error)})`;
  }
}
