import { readdir } from "node:fs/promises";
import type { CommandHost } from "../commands/host.ts";
import type { Lookup } from "./complete.ts";

/** Longer than a local agent needs, shorter than a user waits for a key. */
const nodePatienceMs = 500;
/** By way of the API server, which is asked for the agents and for a token first. */
const clusterPatienceMs = 3000;

/** Asks the agent, or the agents, that the typed connection options name, and looks into this machine's /run/netns. */
export function createLookup({ io, surface }: Pick<CommandHost, "io" | "surface">): Lookup {
  const patienceMs = surface.targets === "any" ? nodePatienceMs : clusterPatienceMs;
  return {
    async present(values) {
      const flags = { ...Object.fromEntries(values), timeout: patienceMs };
      const signal = AbortSignal.timeout(clusterPatienceMs);
      try {
        await using reached = await surface.reach({ flags, io, signal, onFailure: () => {} });
        const interfaces = await reached.api.list({}, AbortSignal.timeout(patienceMs));
        return { interfaces, namespace: reached.namespace };
      } catch {
        // Without an agent there is nothing to offer, and an error text would
        // land in the middle of what the user types.
        return { interfaces: [], namespace: surface.defaultNamespace };
      }
    },
    async namedNamespaces() {
      try {
        return await readdir("/run/netns");
      } catch {
        return [];
      }
    },
  };
}
