import { readFileSync } from "node:fs";
import { connect as connectSocket, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { checkServerIdentity, connect as connectTls } from "node:tls";
import { messageOf, PodplugError } from "../domain/errors.ts";
import type { Credentials } from "./credentials.ts";
import type { NetworkAddress } from "./server-address.ts";

export interface ConnectionOptions extends Credentials {
  /** PEM file of the authorities that may have signed the agent's certificate; the system's when absent. */
  readonly caFile?: string | undefined;
  /** The authorities themselves, PEM, in place of a file. */
  readonly ca?: string | undefined;
  /** The name that the agent's certificate must have; the address' host when absent. */
  readonly tlsServerName?: string | undefined;
  /**
   * Another way to the agent than a TCP connection to the address, such as
   * through the API server; TLS runs inside it. Answers a new stream, which
   * connects by itself: why it can't is its error.
   */
  readonly tunnel?: (() => Duplex) | undefined;
}

const connectTimeoutMs = 10_000;

/**
 * How to open one connection to the address, for an HTTP/2 session to run on.
 * The returned function throws INVALID_CONFIGURATION when a file can't be
 * read; what the network says comes as the socket's error.
 */
export function createDialer(address: NetworkAddress, options: ConnectionOptions): () => Duplex {
  if (address.kind === "http") return () => withTimeout(connectSocket(address.port, address.host), "connect");
  return () => {
    const serverName = options.tlsServerName ?? address.host;
    const through = options.tunnel?.();
    const socket = connectTls({
      ...(through === undefined ? { host: address.host, port: address.port } : { socket: through }),
      ALPNProtocols: ["h2"],
      checkServerIdentity: (_host, certificate) => checkServerIdentity(serverName, certificate),
      // An IP address can't stand in SNI.
      ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
      ...pemFiles(options),
    });
    socket.once("secureConnect", () => {
      if (socket.alpnProtocol !== "h2") {
        socket.destroy(Object.assign(new Error("no HTTP/2 there"), { code: "ERR_HTTP2_ERROR" }));
      }
    });
    // TLS would only say that its connection was lost.
    through?.once("error", (error) => socket.destroy(error));
    return withTimeout(socket, "secureConnect");
  };
}

function pemFiles(options: ConnectionOptions): { ca?: Buffer | string; cert?: Buffer; key?: Buffer } {
  return {
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.caFile === undefined ? {} : { ca: readPem(options.caFile) }),
    ...(options.clientCertFile === undefined ? {} : { cert: readPem(options.clientCertFile) }),
    ...(options.clientKeyFile === undefined ? {} : { key: readPem(options.clientKeyFile) }),
  };
}

// Synchronous, because http2 asks for the socket synchronously.
function readPem(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new PodplugError("INVALID_CONFIGURATION", `can't read a TLS file: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

// The kernel's own patience with a host that drops packets is two minutes.
function withTimeout<T extends Socket>(socket: T, readyEvent: string): T {
  const timer = setTimeout(() => {
    socket.destroy(Object.assign(new Error("no answer to the connection attempt"), { code: "ETIMEDOUT" }));
  }, connectTimeoutMs).unref();
  socket.once(readyEvent, () => clearTimeout(timer));
  socket.once("close", () => clearTimeout(timer));
  return socket;
}
