import type { NodeClient, NodeClientOptions } from "../node-client.ts";
import { addConnectionOptions, type ConnectionFlags, readConnection } from "./options/connection.ts";
import type { Surface } from "./surface.ts";

export type Connect = (options: NodeClientOptions) => Promise<NodeClient>;

/** `podplug`: one agent, by its socket or port. */
export function createNodeSurface(connect: Connect = connectLazily): Surface {
  const namespace = "default";
  return {
    program: "podplug",
    targets: "any",
    defaultNamespace: namespace,
    addConnectionOptions,
    async reach({ flags, io }) {
      const api = await connect(readConnection(flags as ConnectionFlags, io.env));
      return { api, namespace, [Symbol.asyncDispose]: () => api.close() };
    },
  };
}

/** Helping and completing need no transport. */
async function connectLazily(options: NodeClientOptions): Promise<NodeClient> {
  const { createNodeClient } = await import("../node-client.ts");
  return createNodeClient(options);
}
