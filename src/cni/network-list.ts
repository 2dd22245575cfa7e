import { messageOf, PodplugError } from "../domain/errors.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { isCniName } from "../domain/names.ts";
import { isPlainObject, parseLosslessly } from "./lossless-json.ts";
import { type PluginConfig, readPluginConfig } from "./plugin-config.ts";
import { type CniVersion, cniVersions, looksLikeVersion, newestOf, oldestVersion } from "./versions.ts";

/** A CNI network configuration list, read and checked (spec 1.1.0, section 1). */
export interface NetworkList {
  readonly name: string;
  /** The one version that its plugins are run with. */
  readonly cniVersion: CniVersion;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly plugins: readonly [PluginConfig, ...PluginConfig[]];
  /** The list as JSON: every unknown key as it was written, the name and the one version filled in. */
  readonly raw: JsonObject;
}

export interface ReadOptions {
  /** What is read, for messages: `network demo/blue`, a file's path. */
  readonly source: string;
  /** The network's name when the configuration has none (NPWG standard, section 3.4.2). */
  readonly defaultName?: string | undefined;
}

/** A list that may still lack the plugins of its sibling files. */
export interface NetworkListDraft {
  readonly source: string;
  readonly name: string;
  /** Whether `<directory>/<name>/*.conf` belong to it, if it came from a file (spec 1.1.0, section 1). */
  readonly takesSiblings: boolean;
  readonly head: JsonObject;
  readonly inlined: readonly JsonObject[];
  readonly cniVersion: CniVersion;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
}

/**
 * Reads a configuration, a list or a single plugin's, from JSON text; a single
 * one becomes a list of one. Throws INVALID_NETWORK with every fault and the
 * path of its key, or VERSION_UNSUPPORTED.
 */
export function readNetworkList(text: string, options: ReadOptions): NetworkList {
  return finishNetworkList(draftNetworkList(text, options), []);
}

/** The list as the JSON text that a record keeps and a plugin host reads. */
export function printNetworkList(list: NetworkList): string {
  return JSON.stringify(list.raw);
}

export function draftNetworkList(text: string, { source, defaultName }: ReadOptions): NetworkListDraft {
  const raw = parseObject(text, source);
  const faults: string[] = [];

  const single = raw["plugins"] === undefined && raw["type"] !== undefined;
  const flag = (key: string): boolean => readFlag(raw, key, faults);
  const name = readName(raw["name"] === undefined || raw["name"] === "" ? defaultName : raw["name"], faults);
  const versions = readVersions(raw, faults);
  const disableCheck = flag("disableCheck");
  const disableGC = flag("disableGC");
  const onlyInlined = flag("loadOnlyInlinedPlugins");
  const inlined = single ? [raw] : readInlined(raw["plugins"], onlyInlined, faults);

  if (faults.length > 0) throw invalidNetwork(source, faults);
  const cniVersion = newestOf(versions);
  if (cniVersion === undefined) {
    throw new PodplugError(
      "VERSION_UNSUPPORTED",
      `${source} asks for CNI ${versions.join(", ")}; supported are ${cniVersions.join(", ")}`,
    );
  }
  const head = single
    ? Object.fromEntries(Object.entries(raw).filter(([key]) => key.startsWith("disable")))
    : raw;
  const takesSiblings = !single && !onlyInlined;
  return { source, name, takesSiblings, head, inlined, cniVersion, disableCheck, disableGC };
}

/** The complete list, with the plugins of the sibling files after the inlined ones. */
export function finishNetworkList(draft: NetworkListDraft, siblings: readonly JsonObject[]): NetworkList {
  const { source, name, cniVersion, disableCheck, disableGC } = draft;
  const faults: string[] = [];
  const plugins = [...draft.inlined, ...siblings].map((raw, index) =>
    readPluginConfig(raw, `plugins[${index}]`, faults),
  );
  const [first, ...rest] = plugins;
  if (first === undefined) faults.push("plugins: there is none");
  if (first === undefined || faults.length > 0) throw invalidNetwork(source, faults);

  // With several versions to choose from, a newer podplug would run DEL with another one than ADD.
  const { cniVersions: _, ...kept } = draft.head;
  return withPlugins({ name, cniVersion, disableCheck, disableGC, raw: kept }, [first, ...rest]);
}

/** The same list with other plugins. */
export function withPlugins(
  list: Omit<NetworkList, "plugins">,
  plugins: NetworkList["plugins"],
): NetworkList {
  const raw = {
    ...list.raw,
    cniVersion: list.cniVersion,
    name: list.name,
    plugins: plugins.map((plugin) => plugin.raw),
  };
  return { ...list, plugins, raw };
}

export function parseObject(text: string, source: string): JsonObject {
  let value: JsonValue;
  try {
    value = parseLosslessly(text);
  } catch (cause) {
    throw new PodplugError("INVALID_NETWORK", `${source} isn't JSON: ${messageOf(cause)}`, { cause });
  }
  if (!isPlainObject(value)) throw new PodplugError("INVALID_NETWORK", `${source} isn't a JSON object`);
  return value;
}

function invalidNetwork(source: string, faults: readonly string[]): PodplugError {
  return new PodplugError("INVALID_NETWORK", `${source} can't be used: ${faults.join("; ")}`);
}

function readName(value: JsonValue | undefined, faults: string[]): string {
  if (typeof value === "string" && isCniName(value)) return value;
  if (value === undefined) faults.push("name: missing");
  else faults.push(`name: ${JSON.stringify(value)} isn't a network's name`);
  return "";
}

function readVersions(raw: JsonObject, faults: string[]): string[] {
  const one = raw["cniVersion"] === "" ? undefined : raw["cniVersion"];
  const several = raw["cniVersions"];
  const versions: string[] = [];
  const take = (value: JsonValue, key: string): void => {
    if (typeof value === "string" && looksLikeVersion(value)) versions.push(value);
    else faults.push(`${key}: ${JSON.stringify(value)} isn't a version like 1.0.0`);
  };
  if (one !== undefined) take(one, "cniVersion");
  if (Array.isArray(several)) {
    for (const [index, value] of (several as readonly JsonValue[]).entries())
      take(value, `cniVersions[${index}]`);
  } else if (several !== undefined) {
    faults.push("cniVersions: not a list of versions");
  }
  return versions.length > 0 ? versions : [oldestVersion];
}

/** A boolean, or the words that older lists had in its place. */
function readFlag(raw: JsonObject, key: string, faults: string[]): boolean {
  const value = raw[key];
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  const word = typeof value === "string" ? value.toLowerCase() : "";
  if (word !== "true" && word !== "false")
    faults.push(`${key}: ${JSON.stringify(value)} isn't true or false`);
  return word === "true";
}

function readInlined(value: JsonValue | undefined, onlyInlined: boolean, faults: string[]): JsonObject[] {
  if (value === undefined) {
    if (onlyInlined) faults.push("plugins: missing, and loadOnlyInlinedPlugins is true");
    return [];
  }
  if (!Array.isArray(value)) {
    faults.push("plugins: not a list");
    return [];
  }
  if (value.length === 0) faults.push("plugins: the list is empty");
  for (const [index, plugin] of value.entries()) {
    if (!isPlainObject(plugin)) faults.push(`plugins[${index}]: not an object`);
  }
  return value.filter(isPlainObject);
}
