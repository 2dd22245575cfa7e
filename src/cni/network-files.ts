import { readdir, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { asPodplugError, messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import { draftNetworkList, finishNetworkList, type NetworkList, parseObject } from "./network-list.ts";

/**
 * Reads a network's file with the plugins of its sibling files,
 * `<directory>/<network name>/*.conf` in the order of their names, unless the
 * list says loadOnlyInlinedPlugins. Throws INVALID_NETWORK naming the file, or
 * RESOURCE_EXHAUSTED.
 */
export async function readNetworkFile(path: string, signal: AbortSignal): Promise<NetworkList> {
  const draft = draftNetworkList(await readText(path, signal), { source: path });
  if (!draft.takesSiblings) return finishNetworkList(draft, []);
  // A network's name has no slash, so the directory can't be led elsewhere.
  return finishNetworkList(draft, await readSiblings(join(dirname(path), draft.name), signal));
}

/**
 * The node's own network: the first file of its CNI directory, by name, which
 * runtimes take. Undefined when there is none; throws as readNetworkFile, also
 * when that file can't be used: the next one is another network.
 */
export async function readFirstNetwork(
  directory: string,
  signal: AbortSignal,
): Promise<NetworkList | undefined> {
  let names: string[];
  try {
    names = await readdir(directory);
  } catch (cause) {
    if (systemCodeOf(cause) === "ENOENT") return undefined;
    throw unreadable(directory, cause);
  }
  const [first] = names.filter((name) => /\.(conflist|conf|json)$/.test(name)).toSorted();
  return first === undefined ? undefined : await readNetworkFile(join(directory, first), signal);
}

async function readSiblings(directory: string, signal: AbortSignal): Promise<JsonObject[]> {
  let names: string[];
  try {
    const entries = await readdir(directory, { withFileTypes: true });
    names = entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  } catch (cause) {
    const code = systemCodeOf(cause);
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    throw unreadable(directory, cause);
  }
  const siblings: JsonObject[] = [];
  for (const name of names.filter((candidate) => candidate.endsWith(".conf")).sort()) {
    const path = join(directory, name);
    siblings.push(parseObject(await readText(path, signal), path));
  }
  return siblings;
}

async function readText(path: string, signal: AbortSignal): Promise<string> {
  try {
    return await readFile(path, { encoding: "utf8", signal });
  } catch (cause) {
    signal.throwIfAborted();
    throw unreadable(path, cause);
  }
}

/** That the agent lacks descriptors says nothing of the file. */
function unreadable(path: string, cause: unknown): PodplugError {
  const error = asPodplugError(cause);
  if (error.reason === "RESOURCE_EXHAUSTED") return error;
  return new PodplugError("INVALID_NETWORK", `${path} can't be read: ${messageOf(cause)}`, { cause });
}
