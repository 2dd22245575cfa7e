import { X509Certificate } from "node:crypto";
import { type PeerCertificate, TLSSocket } from "node:tls";
import type { ClientCertificate, ShownCertificate } from "../auth/contract.ts";
import type { NodeRequest } from "./exchanges.ts";
import { signerOf } from "./signer.ts";

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
  // What nobody vouches for may be anything, and isn't read.
  if (!socket.authorized) return { chain: [], fault: String(socket.authorizationError) };
  const parts: PeerCertificate[] = [];
  // An authority that signed itself is its own issuer.
  for (
    let next: typeof leaf | undefined = leaf;
    next && !parts.includes(next);
    next = next.issuerCertificate
  ) {
    parts.push(next);
  }
  return { chain: parts.map(shown) };
}

function shown({ subject, raw }: PeerCertificate): ShownCertificate {
  const certificate = new X509Certificate(raw);
  return { subject, signer: signerOf(certificate), notAfter: certificate.validToDate };
}
