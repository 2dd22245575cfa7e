import { printNetworkList, readNetworkList } from "../cni/network-list.ts";
import { PodplugError } from "../domain/errors.ts";
import { abortError } from "../domain/signals.ts";
import type { NetworkCatalog } from "./contract.ts";

/**
 * The configuration that a selection carries itself, a list or a single
 * plugin's. It must have a name of its own, and has no sibling files.
 */
export function createInlineCatalog(): NetworkCatalog {
  return {
    async find({ config, name }, _podNamespace, signal) {
      if (signal.aborted) throw abortError(signal, "reading an inline configuration");
      if (config === undefined) {
        throw new PodplugError("NETWORK_NOT_FOUND", `network ${name} is named, not given inline`);
      }
      const list = readNetworkList(config, { source: "the inline configuration" });
      return { displayName: list.name, source: "inline", config: printNetworkList(list) };
    },
  };
}
