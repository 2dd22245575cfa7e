import { PodplugError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { NetworkSource } from "../../src/domain/selection.ts";
import { abortError } from "../../src/domain/signals.ts";
import type { NetworkCatalog, NetworkDefinition } from "../../src/networks/contract.ts";

interface FakeNetworkOptions {
  /** With one, the network is found from pods of this namespace, or by naming it. */
  readonly namespace?: string;
  /** Added to the configuration list, or in place of its keys (`plugins`, `cniVersion`). */
  readonly config?: JsonObject;
}

/**
 * A catalog in memory. A selection with an inline configuration gets it back
 * as it is.
 */
export interface FakeNetworks extends NetworkCatalog {
  /** Adds a network, or replaces it. */
  define(name: string, options?: FakeNetworkOptions): NetworkDefinition;
  /** It is there, but can't be used. */
  breakNetwork(name: string, options?: Pick<FakeNetworkOptions, "namespace">): void;
  remove(name: string, options?: Pick<FakeNetworkOptions, "namespace">): void;
  /** Every look fails with it, until cleared with `undefined`. */
  failWith(error: PodplugError | undefined): void;
}

export function createFakeNetworks(source: NetworkSource = "netAttachDef"): FakeNetworks {
  const networks = new Map<string, NetworkDefinition | PodplugError>();
  let failure: PodplugError | undefined;

  return {
    async find({ name, namespace, config }, podNamespace, signal) {
      if (signal.aborted) throw abortError(signal, "looking for a network");
      if (failure) throw failure;
      if (config !== undefined) {
        const { name: inlineName } = JSON.parse(config) as { name: string };
        return { displayName: inlineName, source: "inline", config };
      }
      const candidates =
        namespace === undefined
          ? [displayNameOf(name ?? "", podNamespace), name ?? ""]
          : [displayNameOf(name ?? "", namespace)];
      for (const candidate of candidates) {
        const found = networks.get(candidate);
        if (found instanceof PodplugError) throw found;
        if (found) return found;
      }
      throw new PodplugError("NETWORK_NOT_FOUND", `no network ${candidates[0]}`);
    },

    define(name, { namespace, config = {} } = {}) {
      const displayName = displayNameOf(name, namespace);
      const list = { cniVersion: "1.0.0", name, plugins: [{ type: "fake" }], ...config };
      const definition = { displayName, source, config: JSON.stringify(list) };
      networks.set(displayName, definition);
      return definition;
    },
    breakNetwork(name, { namespace } = {}) {
      const displayName = displayNameOf(name, namespace);
      networks.set(displayName, new PodplugError("INVALID_NETWORK", `network ${displayName} can't be used`));
    },
    remove(name, { namespace } = {}) {
      networks.delete(displayNameOf(name, namespace));
    },
    failWith(error) {
      failure = error;
    },
  };
}

function displayNameOf(name: string, namespace: string | undefined): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
