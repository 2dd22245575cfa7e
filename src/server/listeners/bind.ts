import type { Server } from "node:net";
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
