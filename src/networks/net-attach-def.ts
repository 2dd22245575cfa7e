import { printNetworkList, readNetworkList } from "../cni/network-list.ts";
import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { abortError } from "../domain/signals.ts";
import type { DefinitionReader } from "../kube/contract.ts";
import type { NetworkCatalog } from "./contract.ts";
import { createDefinitionCache } from "./definition-cache.ts";
import { createDirectoryCatalog } from "./directory.ts";

export interface NetAttachDefCatalogOptions {
  readonly reader: DefinitionReader;
  /** The node's own CNI configurations, for definitions without `spec.config`. */
  readonly confDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** How long a definition is used without asking the API server again. */
  readonly maxAgeMs?: number;
  /** How long a missing one isn't asked for again. */
  readonly absentMaxAgeMs?: number;
  /** How long a definition read before is used while the API server is away. */
  readonly staleMaxAgeMs?: number;
  /** Refuse definitions of other namespaces than the pod's, `globalNamespaces` apart. */
  readonly namespaceIsolation?: boolean;
  readonly globalNamespaces?: readonly string[];
}

/**
 * NetworkAttachmentDefinitions (NPWG standard v1.3, section 3). Without a
 * namespace, a name is looked up in the pod's own. The configuration is
 * `spec.config`, else the one of the definition's name in the node's CNI
 * directory, lists first (3.4.1); one without a name gets the definition's
 * (3.4.2). A changed or new definition is seen after `maxAgeMs` or
 * `absentMaxAgeMs` at the latest. With namespace isolation, another
 * namespace's is DENIED, whether or not it exists. UNREACHABLE when the API
 * server is away and the definition wasn't read within `staleMaxAgeMs`.
 */
export function createNetAttachDefCatalog({
  reader,
  confDir,
  clock,
  log,
  maxAgeMs = 5_000,
  absentMaxAgeMs = 500,
  staleMaxAgeMs = 10 * 60_000,
  namespaceIsolation = false,
  globalNamespaces = [],
}: NetAttachDefCatalogOptions): NetworkCatalog {
  const definitions = createDefinitionCache({
    read: (namespace, name, signal) => reader.netAttachDef(namespace, name, signal),
    clock,
    log,
    maxAgeMs,
    absentMaxAgeMs,
    staleMaxAgeMs,
  });
  const onDisk = createDirectoryCatalog({
    directory: confDir,
    clock,
    log,
    // The standard says .configlist and .config; everybody writes .conflist and .conf.
    extensions: [
      ["configlist", "conflist"],
      ["config", "conf", "json"],
    ],
  });

  function refuseForeign(namespace: string, name: string, podNamespace: string | undefined): void {
    if (!namespaceIsolation || namespace === podNamespace || globalNamespaces.includes(namespace)) return;
    const own = podNamespace === undefined ? [] : [`its own, ${podNamespace}`];
    const global = globalNamespaces.length === 0 ? [] : [`the global ones, ${globalNamespaces.join(", ")}`];
    const allowed = [...own, ...global].join(", or ") || "none";
    throw new PodplugError(
      "DENIED",
      `network ${namespace}/${name} is of another namespace, and namespaceIsolation is on: this target may use networks of ${allowed}`,
    );
  }

  async function fromDisk(displayName: string, name: string, signal: AbortSignal): Promise<string> {
    try {
      return (await onDisk.find({ name }, undefined, signal)).config;
    } catch (cause) {
      if (!(cause instanceof PodplugError && cause.reason === "NETWORK_NOT_FOUND")) throw cause;
      throw new PodplugError(
        "INVALID_NETWORK",
        `network ${displayName} has no spec.config, and ${confDir} has no configuration named ${name}`,
        { cause },
      );
    }
  }

  return {
    async find({ name, namespace }, podNamespace, signal) {
      if (signal.aborted) throw abortError(signal, "looking for a network");
      if (name === undefined) {
        throw new PodplugError("NETWORK_NOT_FOUND", "a configuration without a name isn't looked up");
      }
      const where = namespace ?? podNamespace;
      if (where === undefined) {
        throw new PodplugError(
          "NETWORK_NOT_FOUND",
          `network ${name}: no namespace is given, and the target is no pod that has one`,
        );
      }
      refuseForeign(where, name, podNamespace);
      const displayName = `${where}/${name}`;
      const definition = await definitions.get(where, name, signal);
      if (!definition) {
        throw new PodplugError("NETWORK_NOT_FOUND", `there is no NetworkAttachmentDefinition ${displayName}`);
      }
      const config =
        definition.config.trim() === ""
          ? await fromDisk(displayName, name, signal)
          : printNetworkList(
              readNetworkList(definition.config, { source: `network ${displayName}`, defaultName: name }),
            );
      return { displayName, source: "netAttachDef", config };
    },
  };
}
