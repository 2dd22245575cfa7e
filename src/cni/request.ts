import { PodplugError } from "../domain/errors.ts";
import type { JsonObject, JsonValue } from "../domain/json.ts";
import { isPlainObject } from "./lossless-json.ts";
import type { NetworkList } from "./network-list.ts";
import type { PluginConfig } from "./plugin-config.ts";

/** What a plugin reads from its standard input beside its own configuration. */
export interface RequestAdditions {
  /** Every capability argument asked for; the plugin gets those it declares. */
  readonly capabilityArgs?: JsonObject | undefined;
  readonly prevResult?: JsonObject | undefined;
  /** Further keys, such as GC's valid attachments. */
  readonly keys?: JsonObject | undefined;
}

/**
 * A plugin's request configuration, derived from its part of the list: unknown
 * keys untouched, the list's name and version, the capability arguments it
 * declares as `runtimeConfig`, `capabilities` dropped (spec 1.1.0, section 3,
 * "Deriving request configuration from plugin configuration").
 */
export function deriveRequest(
  list: NetworkList,
  plugin: PluginConfig,
  additions: RequestAdditions,
): JsonObject {
  const { capabilities: _capabilities, prevResult: _prevResult, ...kept } = plugin.raw;
  const request: { [key: string]: JsonValue } = { ...kept, cniVersion: list.cniVersion, name: list.name };
  const asked = Object.entries(additions.capabilityArgs ?? {}).filter(([key]) =>
    plugin.capabilities.has(key),
  );
  if (asked.length > 0) {
    const written = isPlainObject(kept["runtimeConfig"]) ? kept["runtimeConfig"] : {};
    request["runtimeConfig"] = { ...written, ...Object.fromEntries(asked) };
  }
  if (additions.prevResult !== undefined) request["prevResult"] = additions.prevResult;
  return { ...request, ...additions.keys };
}

/**
 * Throws CAPABILITY_NOT_DECLARED when something is asked for that no plugin of
 * the network would get (NPWG standard, section 4.1.2.1: the attachment must
 * fail, rather than come up without it).
 */
export function requireDeclared(list: NetworkList, capabilityArgs: JsonObject): void {
  const missing = Object.keys(capabilityArgs).filter(
    (capability) => !list.plugins.some((plugin) => plugin.capabilities.has(capability)),
  );
  if (missing.length === 0) return;
  const message = `no plugin of network ${list.name} declares the capability ${missing.join(", ")}`;
  throw new PodplugError("CAPABILITY_NOT_DECLARED", message);
}
