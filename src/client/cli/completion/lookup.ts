import { readdir } from "node:fs/promises";
import type { CommandHost } from "../commands/host.ts";
import { readConnection } from "../options/connection.ts";
import type { Lookup } from "./complete.ts";

/** Longer than a local agent needs, shorter than a user waits for a key. */
const patienceMs = 500;

/** Asks the agent that the typed connection options name, and looks into this machine's /run/netns. */
export function createLookup({ io, connect }: Pick<CommandHost, "io" | "connect">): Lookup {
  return {
    async interfaces(values) {
      const flags = { ...Object.fromEntries(values), timeout: patienceMs };
      try {
        await using client = await connect(readConnection(flags, io.env));
        return await client.list({}, AbortSignal.timeout(patienceMs));
      } catch {
        // Without an agent there is nothing to offer, and an error text would
        // land in the middle of what the user types.
        return [];
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
