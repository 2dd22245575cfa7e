import { isIP, type Server } from "node:net";
import { messageOf, PodplugError } from "../../domain/errors.ts";

/** Listens, or throws INVALID_CONFIGURATION saying on what it couldn't. */
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
    throw new PodplugError("INVALID_CONFIGURATION", `can't listen on ${name}, ${messageOf(cause)}`, {
      cause,
    });
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
