import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Logger } from "../../domain/log.ts";
import type { ServerLimits } from "../limits.ts";
import { type Protocol, readFirstBytes } from "./first-bytes.ts";
import { peerNetwork } from "./peer-network.ts";
import type { TlsKeys } from "./tls-keys.ts";

/** A listener's server, not listening yet, whose connections are handed on once it is known what they speak. */
export type Opening = (options: {
  readonly limits: ServerLimits;
  readonly log: Logger;
  /** `raw` is the socket below TLS, and the same one without it. */
  readonly onProtocol: (socket: Socket, protocol: Protocol, raw: Socket) => void;
}) => Server;

/** Without TLS: the first bytes tell. */
export const openPlain: Opening = ({ limits, onProtocol }) =>
  createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    readFirstBytes(socket, limits.sniffTimeoutMs, (protocol) => onProtocol(socket, protocol, socket));
  });

/** With TLS: client and server agree on it in the handshake (ALPN); who doesn't speak of it speaks HTTP/1.1. */
export function openTls(keys: TlsKeys): Opening {
  return ({ limits, log, onProtocol }) => {
    const handshaking = new Map<string, Socket>();
    const perAddress = new Map<string, number>();
    const server = createTlsServer({
      ...keys.options,
      ALPNProtocols: ["h2", "http/1.1"],
      // Who shows none, or one that isn't trusted, may still have a token.
      requestCert: keys.options.ca !== undefined,
      rejectUnauthorized: false,
      handshakeTimeout: limits.sniffTimeoutMs,
      noDelay: true,
    });
    keys.onChange((options) => server.setSecureContext(options));
    server.on("connection", (raw: Socket) => {
      const address = peerNetwork(raw.remoteAddress ?? "");
      const open = (perAddress.get(address) ?? 0) + 1;
      perAddress.set(address, open);
      raw.once("close", () => {
        const left = (perAddress.get(address) ?? 0) - 1;
        if (left > 0) perAddress.set(address, left);
        else perAddress.delete(address);
      });
      if (open > limits.connectionsPerAddress) {
        log.debug({ address, open }, "connection refused, its address has too many");
        raw.destroy();
        return;
      }
      const peer = peerOf(raw);
      handshaking.set(peer, raw);
      raw.once("close", () => {
        if (handshaking.get(peer) === raw) handshaking.delete(peer);
      });
    });
    server.on("secureConnection", (socket) => {
      const peer = peerOf(socket);
      const raw = handshaking.get(peer) ?? socket;
      handshaking.delete(peer);
      onProtocol(socket, socket.alpnProtocol === "h2" ? "http/2" : "http/1.1", raw);
    });
    server.on("tlsClientError", (error, socket) => {
      log.debug({ err: error }, "TLS handshake failed");
      socket.destroy();
    });
    return server;
  };
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
