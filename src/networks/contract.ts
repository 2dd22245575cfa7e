import type { NetworkSelection, NetworkSource } from "../domain/selection.ts";

/** A network as it was found: its name for people and its CNI configuration. */
export interface NetworkDefinition {
  /** `namespace/name` where the source has namespaces, else the name alone. */
  readonly displayName: string;
  readonly source: NetworkSource;
  /** A CNI network configuration list as JSON text; complete (siblings read in, name filled in). */
  readonly config: string;
}

/**
 * Finds the configuration of the network that a selection names. Failures:
 * NETWORK_NOT_FOUND, INVALID_NETWORK (found, but unusable; the message names
 * the file or object), UNREACHABLE (its store is away), RESOURCE_EXHAUSTED (the
 * agent can't open its file now), INVALID_SELECTION (the network needs what the
 * selection lacks).
 */
export interface NetworkCatalog {
  /** `podNamespace` is where an unqualified name is looked up; absent for a bare namespace. */
  find(
    selection: NetworkSelection,
    podNamespace: string | undefined,
    signal: AbortSignal,
  ): Promise<NetworkDefinition>;
}
