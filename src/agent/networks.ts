import { readFirstNetwork } from "../cni/network-files.ts";
import type { Config } from "../config.ts";
import { systemClock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { neverAborted } from "../domain/signals.ts";
import type { DefinitionReader } from "../kube/contract.ts";
import { createCatalogs, type SourcedCatalog } from "../networks/catalogs.ts";
import { createContivCatalog } from "../networks/contiv.ts";
import type { NetworkCatalog } from "../networks/contract.ts";
import { createDirectoryCatalog } from "../networks/directory.ts";
import { createInlineCatalog } from "../networks/inline.ts";
import { createKaloomCatalog } from "../networks/kaloom.ts";
import { createNetAttachDefCatalog } from "../networks/net-attach-def.ts";
import type { NodeIntent } from "./intent.ts";

/** Whether networks are looked up in the cluster. */
export function needsDefinitions({ networks }: Config): boolean {
  return networks.some((source) => typeof source === "string");
}

/** The configured sources in their order; `reader` is there when one of them is the cluster. */
export function createCatalog(
  config: Config,
  reader: DefinitionReader | undefined,
  intent: NodeIntent | undefined,
  log: Logger,
): NetworkCatalog {
  const options = { clock: systemClock, log };
  const sourced = config.networks.map((source): SourcedCatalog => {
    if (typeof source !== "string") {
      const catalog = createDirectoryCatalog({ ...options, directory: source.directory });
      return { source: "directory", catalog };
    }
    if (!reader) throw new PodplugError("INTERNAL", `networks in ${source} need the API server`);
    const catalog =
      source === "kaloom"
        ? createKaloomCatalog({ ...options, reader })
        : createNetAttachDefCatalog({
            ...options,
            reader,
            confDir: config.cni.confDir,
            namespaceIsolation: config.namespaceIsolation,
            globalNamespaces: config.globalNamespaces,
          });
    return { source, catalog };
  });
  if (intent) sourced.push({ source: "contiv", catalog: createContivCatalog(intent) });
  return createCatalogs([...sourced, { source: "inline", catalog: createInlineCatalog() }]);
}

/**
 * What the cluster's own network is called: the name in the first file of the
 * node's CNI directory, as the runtime takes it; undefined when there is none.
 */
export async function defaultNetworkName({ cni }: Config, log: Logger): Promise<string | undefined> {
  try {
    return (await readFirstNetwork(cni.confDir, neverAborted))?.name;
  } catch (error) {
    log.warn({ directory: cni.confDir, err: error }, "the cluster's own network can't be told by its name");
    return undefined;
  }
}
