import { isIP, type Server } from "node:net";
import { messageOf, PodplugError, systemCodeOf } from "../../domain/errors.ts";

// At a machine's start an IPv6 address is still being probed for, a virtual one not
// there, or the agent's predecessor not gone: nothing that the configuration is to blame for.
const passing: readonly (string | undefined)[] = ["EADDRNOTAVAIL", "EADDRINUSE", "EAI_AGAIN"];

/** Listens, or says on what it couldn't: ADDRESS_UNAVAILABLE when that may pass, else INVALID_CONFIGURATION. */
export async function bind(
  server: Server,
  where: { readonly path: string } | { readonly host: string; readonly port: number },
  name: string,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once("listening", resolve).once("error", reject);
  try {
    server.listen(where);
    await promise;
  } catch (cause) {
    const reason = passing.includes(systemCodeOf(cause)) ? "ADDRESS_UNAVAILABLE" : "INVALID_CONFIGURATION";
    throw new PodplugError(reason, `can't listen on ${name}, ${messageOf(cause)}`, { cause });
  } finally {
    server.off("listening", resolve).off("error", reject);
  }
}

export interface BoundAddress {
  readonly host: string;
  readonly port: number;
}

/** As `bind`, on a TCP port; 0 lets the system choose, and the answer says which. */
export async function bindTcp(server: Server, host: string, port: number): Promise<BoundAddress> {
  await bind(server, { host, port }, nameOf(host, port));
  const bound = server.address();
  return { host, port: bound !== null && typeof bound === "object" ? bound.port : port };
}

/** As a configuration has it. */
export function nameOf(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}
