import type { PeerCertificate } from "node:tls";
import type { Caller } from "../../domain/attachment.ts";

/** What is known of a request before anything of its body is read. */
export interface RequestFacts {
  readonly transport: "unix" | "tcp";
  readonly headers: Headers;
  /** The peer's address; absent on a Unix socket. */
  readonly remoteAddress?: string | undefined;
  /** As TLS verified it; absent without TLS, or when the client showed none. */
  readonly clientCertificate?: PeerCertificate | undefined;
}

/**
 * Says who is calling, once per request, and nothing of what they may do.
 * Failures: UNAUTHENTICATED, and UNREACHABLE when whoever could tell is away.
 */
export type Authenticator = (request: RequestFacts, signal: AbortSignal) => Promise<Caller>;
