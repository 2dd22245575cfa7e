import { type PeerCertificate, TLSSocket } from "node:tls";
import type { ClientCertificate } from "../auth/contract.ts";
import type { NodeRequest } from "./exchanges.ts";

const known = new WeakMap<TLSSocket, ClientCertificate | undefined>();

/** What the peer of the request's connection showed; read once for each connection. */
export function certificateOf(request: NodeRequest): ClientCertificate | undefined {
  const socket = "stream" in request ? request.stream.session?.socket : request.socket;
  if (!(socket instanceof TLSSocket)) return undefined;
  if (!known.has(socket)) known.set(socket, readCertificate(socket));
  return known.get(socket);
}

function readCertificate(socket: TLSSocket): ClientCertificate | undefined {
  const leaf = socket.getPeerCertificate(true);
  if (Object.keys(leaf).length === 0) return undefined;
  const chain: PeerCertificate[] = [];
  // An authority that signed itself is its own issuer.
  for (
    let next: typeof leaf | undefined = leaf;
    next && !chain.includes(next);
    next = next.issuerCertificate
  ) {
    chain.push(next);
  }
  return socket.authorized ? { chain } : { chain, fault: String(socket.authorizationError) };
}
