import { messageOf, PodplugError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";

/** The kind that libcni takes for a complete attachment of its own; every other one it ignores. */
export const cacheKind = "cniCacheV1";

/** One attachment as libcni's cache keeps it (libcni/api.go, cachedInfo). */
export interface CacheEntry {
  readonly kind: string;
  readonly containerId: string;
  /** The network configuration list, JSON text. */
  readonly config: string;
  readonly ifName: string;
  readonly networkName: string;
  readonly netnsPath?: string | undefined;
  readonly cniArgs: readonly (readonly [key: string, value: string])[];
  readonly capabilityArgs: JsonObject;
  /** Absent until ADD is complete. */
  readonly result?: JsonObject | undefined;
}

const ownKeys = [
  "kind",
  "containerId",
  "config",
  "ifName",
  "networkName",
  "netns",
  "cniArgs",
  "capabilityArgs",
  "result",
];

/** The entry as JSON, with keys of another reader beside libcni's own, which win. Empty ones are left out. */
export function encodeCacheEntry(entry: CacheEntry, extra: JsonObject = {}): JsonObject {
  return {
    ...extra,
    kind: entry.kind,
    containerId: entry.containerId,
    config: Buffer.from(entry.config, "utf8").toString("base64"),
    ifName: entry.ifName,
    networkName: entry.networkName,
    ...(entry.netnsPath && { netns: entry.netnsPath }),
    ...(entry.cniArgs.length > 0 && { cniArgs: entry.cniArgs }),
    ...(Object.keys(entry.capabilityArgs).length > 0 && { capabilityArgs: entry.capabilityArgs }),
    ...(entry.result !== undefined && { result: entry.result }),
  };
}

/**
 * Reads an entry of any kind, and every key that libcni doesn't know. Throws
 * JOURNAL_FAILED, naming the key, for what isn't an entry.
 */
export function decodeCacheEntry(text: string): { readonly entry: CacheEntry; readonly extra: JsonObject } {
  const value = parse(text);
  const entry: CacheEntry = {
    kind: readText(value, "kind"),
    containerId: readText(value, "containerId"),
    config: readBase64(value, "config"),
    ifName: readText(value, "ifName"),
    networkName: readText(value, "networkName"),
    netnsPath: (value["netns"] ?? "") === "" ? undefined : readText(value, "netns"),
    cniArgs: readPairs(value, "cniArgs"),
    capabilityArgs: readObject(value, "capabilityArgs") ?? {},
    result: readObject(value, "result"),
  };
  const extra = Object.fromEntries(Object.entries(value).filter(([key]) => !ownKeys.includes(key)));
  return { entry, extra };
}

function parse(text: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new PodplugError("JOURNAL_FAILED", `cache entry isn't JSON: ${messageOf(cause)}`, { cause });
  }
  if (!isJsonObject(value)) throw new PodplugError("JOURNAL_FAILED", "cache entry isn't a JSON object");
  return value;
}

function readText(value: JsonObject, key: string): string {
  const text = value[key];
  if (typeof text !== "string" || text === "") throw damaged(key, "a text");
  return text;
}

function readBase64(value: JsonObject, key: string): string {
  const text = readText(value, key);
  const bytes = Buffer.from(text, "base64");
  // Node reads over what isn't base64; a damaged configuration must not run as another one.
  if (bytes.toString("base64") !== text) throw damaged(key, "base64");
  return bytes.toString("utf8");
}

function readPairs(value: JsonObject, key: string): [string, string][] {
  const pairs = value[key] ?? [];
  if (!Array.isArray(pairs)) throw damaged(key, "a list of pairs");
  return pairs.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2) throw damaged(key, "a list of pairs");
    const [name, argument] = pair as readonly unknown[];
    if (typeof name !== "string" || typeof argument !== "string")
      throw damaged(key, "a list of pairs of texts");
    return [name, argument];
  });
}

function readObject(value: JsonObject, key: string): JsonObject | undefined {
  const member = value[key] ?? undefined;
  if (member !== undefined && !isJsonObject(member)) throw damaged(key, "an object");
  return member;
}

function damaged(key: string, expected: string): PodplugError {
  return new PodplugError("JOURNAL_FAILED", `cache entry is damaged: ${key} isn't ${expected}`);
}
