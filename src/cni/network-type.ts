import { PodplugError } from "../domain/errors.ts";
import { readNetworkList } from "./network-list.ts";

/**
 * A configuration's network by its name, and what people call its type: that
 * of its first plugin. `unknown` for a configuration that can't be read.
 */
export function describeNetwork(config: string): { readonly name: string; readonly type: string } {
  try {
    const { name, plugins } = readNetworkList(config, { source: "network" });
    return { name, type: plugins[0].type };
  } catch (error) {
    if (error instanceof PodplugError) return { name: "unknown", type: "unknown" };
    throw error;
  }
}
