import type { JsonObject } from "../domain/json.ts";
import { isPlainObject } from "./lossless-json.ts";

/** One plugin's part of a network's configuration (spec 1.1.0, section 1). */
export interface PluginConfig {
  /** The plugin's executable. */
  readonly type: string;
  /** The capabilities that it declares. */
  readonly capabilities: ReadonlySet<string>;
  /** Everything as it was written. */
  readonly raw: JsonObject;
}

/** Reads one plugin's object; what is wrong with it is added to `faults`, under `path`. */
export function readPluginConfig(raw: JsonObject, path: string, faults: string[]): PluginConfig {
  const { type, capabilities = null, args = null } = raw;
  if (type === undefined || type === "") faults.push(`${path}.type: missing`);
  else if (typeof type !== "string" || !isPluginType(type)) {
    faults.push(`${path}.type: ${JSON.stringify(type)} isn't a plugin's name`);
  }
  if (capabilities !== null && !isPlainObject(capabilities))
    faults.push(`${path}.capabilities: not an object`);
  const declared = isPlainObject(capabilities) ? Object.entries(capabilities) : [];
  for (const [name, value] of declared) {
    if (typeof value !== "boolean") faults.push(`${path}.capabilities.${name}: not true or false`);
  }
  if (args !== null && !isPlainObject(args)) faults.push(`${path}.args: not an object`);
  else if (isPlainObject(args) && args["cni"] !== undefined && !isPlainObject(args["cni"])) {
    faults.push(`${path}.args.cni: not an object`);
  }
  return {
    type: typeof type === "string" ? type : "",
    capabilities: new Set(declared.flatMap(([name, value]) => (value === true ? [name] : []))),
    raw,
  };
}

/** A file's name that can't lead out of the directories it is looked up in. */
export function isPluginType(type: string): boolean {
  return type !== "" && type !== "." && type !== ".." && !/[/\0]/.test(type);
}

/**
 * The plugin with arguments for one attachment added under `args.cni`; what
 * is asked for there wins over what the configuration says (NPWG standard,
 * section 4.1.2.1.6.2; CNI conventions, "args" in network config).
 */
export function withCniArgs(plugin: PluginConfig, cniArgs: JsonObject): PluginConfig {
  const args = isPlainObject(plugin.raw["args"]) ? plugin.raw["args"] : {};
  const cni = isPlainObject(args["cni"]) ? args["cni"] : {};
  return { ...plugin, raw: { ...plugin.raw, args: { ...args, cni: { ...cni, ...cniArgs } } } };
}
