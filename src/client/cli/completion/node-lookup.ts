import type { CommandHost } from "../commands/host.ts";
import { readConnection } from "../options/connection.ts";
import type { NodeLookup } from "./complete.ts";

/** Longer than a local agent needs, shorter than a user waits for a key. */
const patienceMs = 500;

/** Asks the agent that the typed connection options name. */
export function createNodeLookup({ io, connect }: Pick<CommandHost, "io" | "connect">): NodeLookup {
  return async (values) => {
    const flags = { ...Object.fromEntries(values), timeout: patienceMs };
    try {
      await using client = await connect(readConnection(flags, io.env));
      return await client.list({}, AbortSignal.timeout(patienceMs));
    } catch {
      // Without an agent there is nothing to offer, and an error text would
      // land in the middle of what the user types.
      return [];
    }
  };
}
