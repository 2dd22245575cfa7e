import { PodplugError } from "../domain/errors.ts";
import type { NetworkSelection, NetworkSource } from "../domain/selection.ts";
import type { NetworkCatalog } from "./contract.ts";

export interface SourcedCatalog {
  readonly source: NetworkSource;
  readonly catalog: NetworkCatalog;
}

/**
 * Several catalogs as one: a name is looked up in each, in this order, unless
 * the selection names its source; an inline configuration goes to the inline
 * ones alone. Only NETWORK_NOT_FOUND leads on to the next catalog: a network
 * that is there but broken, or whose store is away, must not silently become
 * another one of the same name. UNSUPPORTED when no such source is configured.
 */
export function createCatalogs(catalogs: readonly SourcedCatalog[]): NetworkCatalog {
  return {
    async find(selection, podNamespace, signal) {
      const searched = catalogs.filter(({ source }) => isAskedFor(source, selection));
      if (searched.length === 0) throw notConfigured(selection, catalogs);
      const misses: PodplugError[] = [];
      for (const { catalog } of searched) {
        try {
          return await catalog.find(selection, podNamespace, signal);
        } catch (error) {
          if (!(error instanceof PodplugError && error.reason === "NETWORK_NOT_FOUND")) throw error;
          misses.push(error);
        }
      }
      const [first, ...others] = misses;
      if (first && others.length === 0) throw first;
      throw new PodplugError(
        "NETWORK_NOT_FOUND",
        `network ${nameOf(selection)} isn't in any of ${sourcesOf(searched)}: ${misses.map(({ message }) => message).join("; ")}`,
        { cause: new AggregateError(misses) },
      );
    },
  };
}

function isAskedFor(source: NetworkSource, { config, source: asked }: NetworkSelection): boolean {
  if (config !== undefined) return source === "inline";
  // Any pod's annotation names a network without its source: contiv's are for those whom its intent names.
  if (source === "contiv") return asked === "contiv";
  return source !== "inline" && (asked === undefined || asked === source);
}

function notConfigured(selection: NetworkSelection, catalogs: readonly SourcedCatalog[]): PodplugError {
  const asked = selection.config === undefined ? selection.source : "inline";
  const configured = `configured are: ${sourcesOf(catalogs) || "none"}`;
  return asked === undefined
    ? new PodplugError("UNSUPPORTED", `no source of networks is configured to find ${nameOf(selection)} in`)
    : new PodplugError("UNSUPPORTED", `source: ${asked} isn't configured on this node; ${configured}`);
}

function nameOf({ namespace, name = "" }: NetworkSelection): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function sourcesOf(catalogs: readonly SourcedCatalog[]): string {
  return [...new Set(catalogs.map(({ source }) => source))].join(", ");
}
