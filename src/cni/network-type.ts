import { PodplugError } from "../domain/errors.ts";
import { readNetworkList } from "./network-list.ts";

/** What people call a network's type: that of its first plugin; `unknown` for a configuration that can't be read. */
export function networkTypeOf(config: string): string {
  try {
    return readNetworkList(config, { source: "network" }).plugins[0].type;
  } catch (error) {
    if (error instanceof PodplugError) return "unknown";
    throw error;
  }
}
