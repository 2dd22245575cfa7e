import { parseObject, printNetworkList, readNetworkList } from "../cni/network-list.ts";
import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { abortError } from "../domain/signals.ts";
import type { DefinitionReader, KaloomNetwork } from "../kube/contract.ts";
import type { NetworkCatalog } from "./contract.ts";
import { createDefinitionCache } from "./definition-cache.ts";

export interface KaloomCatalogOptions {
  readonly reader: DefinitionReader;
  readonly clock: Clock;
  readonly log: Logger;
  /** As of the NetworkAttachmentDefinitions' catalog. */
  readonly maxAgeMs?: number;
  readonly absentMaxAgeMs?: number;
  readonly staleMaxAgeMs?: number;
}

/** Kactus reads every network from here, whatever the pod's or the annotation's namespace. */
const homeNamespace = "default";

/**
 * Kaloom's Network objects, as kactus reads them: one plugin's configuration,
 * whose type `spec.plugin` gives unless it says so itself, with the network's
 * name under `networkName`. All are in namespace `default` and open to every
 * pod. Failures as of the NetworkAttachmentDefinitions' catalog.
 */
export function createKaloomCatalog({
  reader,
  clock,
  log,
  maxAgeMs = 5_000,
  absentMaxAgeMs = 500,
  staleMaxAgeMs = 10 * 60_000,
}: KaloomCatalogOptions): NetworkCatalog {
  const networks = createDefinitionCache({
    read: (namespace, name, signal) => reader.kaloomNetwork(namespace, name, signal),
    clock,
    log,
    maxAgeMs,
    absentMaxAgeMs,
    staleMaxAgeMs,
  });
  return {
    async find({ name }, _podNamespace, signal) {
      if (signal.aborted) throw abortError(signal, "looking for a network");
      if (name === undefined) {
        throw new PodplugError("NETWORK_NOT_FOUND", "a configuration without a name isn't looked up");
      }
      const displayName = `${homeNamespace}/${name}`;
      const network = await networks.get(homeNamespace, name, signal);
      if (!network) throw new PodplugError("NETWORK_NOT_FOUND", `there is no Kaloom Network ${displayName}`);
      return { displayName, source: "kaloom", config: configOf(network, `Kaloom Network ${displayName}`) };
    },
  };
}

function configOf({ name, plugin, config }: KaloomNetwork, source: string): string {
  if (plugin === "" || config.trim() === "") {
    throw new PodplugError(
      "INVALID_NETWORK",
      `${source} can't be used: it needs spec.plugin and spec.config`,
    );
  }
  const whole = { type: plugin, networkName: name, ...parseObject(config, source) };
  return printNetworkList(readNetworkList(JSON.stringify(whole), { source, defaultName: name }));
}
