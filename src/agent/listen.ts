import type { Config } from "../config.ts";
import { createStaticAuthorizer } from "../server/auth/static-rules.ts";
import type { ServerOptions } from "../server/server.ts";
import { usesTls } from "./api-config.ts";

/** Where the API is served, and for the TLS port who is let in and to do what. */
export function listenAddresses({ api }: Config): ServerOptions["listen"] {
  const { socket, socketMode, socketGroup, listen, tls, auth, insecure } = api;
  const colon = listen.lastIndexOf(":");
  const host = listen.slice(0, colon).replace(/^\[(.*)\]$/, "$1");
  const port = Number(listen.slice(colon + 1));
  const { certFile, keyFile, clientCAFile } = tls;
  return {
    socket: socket
      ? { path: socket, mode: Number.parseInt(socketMode, 8), group: socketGroup || undefined }
      : undefined,
    tcp: listen && !usesTls(api) ? { host, port, insecure } : undefined,
    tls: usesTls(api)
      ? {
          host,
          port,
          files: { certFile, keyFile, clientCAFile: clientCAFile || undefined },
          credentials: [],
          authorizer: createStaticAuthorizer(auth.rules),
        }
      : undefined,
  };
}
