import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Config, checkConfig, readYaml } from "../config.ts";
import { messageOf, PodplugError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";

/**
 * The agent's configuration from a file, or from a directory of them: a later
 * file, by its name, has the last word on a key; a list is a whole. So that
 * who opens the TLS port, say, adds a file and leaves the others alone.
 * INVALID_CONFIGURATION as `parseConfig`, and when it can't be read.
 */
export async function loadConfig(path: string): Promise<Config> {
  if (!(await readable(stat(path))).isDirectory()) return checkConfig(await valueOf(path), path);
  // Those of a ConfigMap are links into directories whose names begin with a dot.
  const files = (await readable(readdir(path)))
    .filter((name) => /^[^.].*\.(yaml|yml|json)$/.test(name))
    .toSorted();
  if (files.length === 0) throw unusable(`${path} holds no *.yaml, *.yml or *.json`);
  let merged: JsonObject = {};
  for (const file of files) {
    const value = await valueOf(join(path, file));
    if (!isJsonObject(value)) throw unusable(`${join(path, file)} isn't a mapping of keys to values`);
    merged = merge(merged, value);
  }
  return checkConfig(merged, path);
}

async function valueOf(file: string): Promise<unknown> {
  return readYaml(await readable(readFile(file, "utf8")), file) ?? {};
}

function merge(before: JsonObject, after: JsonObject): JsonObject {
  const changed = Object.entries(after).map(([key, value]) => {
    const known = before[key];
    return [key, isJsonObject(known) && isJsonObject(value) ? merge(known, value) : value] as const;
  });
  return { ...before, ...Object.fromEntries(changed) };
}

async function readable<T>(reading: Promise<T>): Promise<T> {
  try {
    return await reading;
  } catch (cause) {
    throw unusable(`configuration can't be read: ${messageOf(cause)}`, cause);
  }
}

function unusable(message: string, cause?: unknown): PodplugError {
  return new PodplugError("INVALID_CONFIGURATION", message, { cause });
}
