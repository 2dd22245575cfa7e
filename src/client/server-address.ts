import { PodplugError } from "../domain/errors.ts";

/** Where an agent listens when nobody says otherwise. */
export const defaultServer = "unix:///run/podplug/podplug.sock";

/** An agent's address, checked. `text` is how people wrote it, for messages. */
export type ServerAddress = SocketAddress | NetworkAddress;

export interface SocketAddress {
  readonly kind: "unix";
  readonly text: string;
  readonly path: string;
}

export interface NetworkAddress {
  readonly kind: "http" | "https";
  readonly text: string;
  readonly host: string;
  readonly port: number;
  readonly origin: string;
}

/**
 * Reads `unix:///PATH`, `https://HOST:PORT` or `http://LOOPBACK:PORT`.
 * INVALID_CONFIGURATION for anything else.
 */
export function parseServerAddress(text: string): ServerAddress {
  const fault = (why: string): PodplugError =>
    new PodplugError(
      "INVALID_CONFIGURATION",
      `server address ${JSON.stringify(text)} ${why}; use unix:///PATH, https://HOST:PORT or http://127.0.0.1:PORT`,
    );
  const unixPath = /^unix:(?:\/\/)?(\/.+)$/s.exec(text)?.[1];
  if (unixPath !== undefined) {
    if (unixPath.includes("\0")) throw fault("has a NUL in its path");
    return { kind: "unix", text, path: unixPath };
  }
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw fault("isn't one that podplug knows");
  }
  if (url.username !== "" || url.password !== "") throw fault("holds a user or password");
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "")
    throw fault("has more than a host and a port");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (url.protocol === "http:" && !isLoopback(host)) {
    throw fault("would carry the calls unencrypted over the network");
  }
  const kind = url.protocol === "http:" ? "http" : "https";
  const port = url.port === "" ? (kind === "http" ? 80 : 443) : Number(url.port);
  return { kind, text, host, port, origin: url.origin };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d+){3}$/.test(host);
}
