import type { Caller } from "../../domain/attachment.ts";

/** What is known of a request before anything of its body is read. */
export interface RequestFacts {
  /** `tcp` is loopback without TLS. */
  readonly transport: "unix" | "tcp" | "tls";
  readonly headers: Headers;
  /** The peer's address; absent on a Unix socket. */
  readonly remoteAddress?: string | undefined;
  /** Absent without TLS, or when the client showed none. */
  readonly clientCertificate?: ClientCertificate | undefined;
}

/** What a client showed, and what TLS found of it at the handshake. */
export interface ClientCertificate {
  /** With its issuers, up to the authority that it was verified with; empty when it isn't to be trusted. */
  readonly chain: readonly ShownCertificate[];
  /** Why it isn't to be trusted; absent when it is. */
  readonly fault?: string | undefined;
}

export interface ShownCertificate {
  readonly subject: { readonly CN?: string | string[]; readonly O?: string | string[] };
  /** Its name and key, in one word. */
  readonly signer: string;
  readonly notAfter: Date;
}

/** Who is calling, and how that was proven. */
export interface Identity extends Caller {
  readonly by: "socket" | "controller-key" | "client-certificate" | "token" | "insecure-port" | "in-process";
  readonly uid?: string | undefined;
  readonly groups: readonly string[];
  /** What an authenticator of the cluster said beside; it goes into reviews as it came. */
  readonly extra: Readonly<Record<string, readonly string[]>>;
}

/**
 * Says who is calling and nothing of what they may do; undefined when the
 * request shows nothing of the kind that this one looks at. Failures:
 * UNAUTHENTICATED, and UNREACHABLE when whoever could tell is away.
 */
export type Credential = (request: RequestFacts, signal: AbortSignal) => Promise<Identity | undefined>;

/** As a Credential, for a whole listener: what shows nothing is UNAUTHENTICATED. */
export type Authenticator = (request: RequestFacts, signal: AbortSignal) => Promise<Identity>;

export type Verb = "create" | "delete" | "get" | "list" | "watch";

/**
 * What somebody may do or not, in Kubernetes' words. `podnetworks` are pods'
 * attachments, by the pod's namespace and name; its subresources are what
 * needs a permission beside. `netns` and `containers` are targets that aren't
 * named as pods, known to static rules alone.
 */
export interface Access {
  readonly verb: Verb;
  readonly resource:
    | "podnetworks"
    | "podnetworks/config"
    | "podnetworks/force"
    | "podnetworks/hostports"
    | "network-attachment-definitions"
    | "directorynetworks"
    | "kaloomnetworks"
    | "contivnetworks"
    | "netns"
    | "containers"
    /** The page /metrics, for the API server a path and no resource. */
    | "metrics";
  /** Absent: of every namespace, or of none. */
  readonly namespace?: string | undefined;
  /** Absent: every one. */
  readonly name?: string | undefined;
}

export type Verdict = { readonly allowed: true } | { readonly allowed: false; readonly why: string };

/** Says whether a caller may. Failures: UNREACHABLE and PRIVILEGE_MISSING, of whoever could tell. */
export type Authorizer = (identity: Identity, access: Access, signal: AbortSignal) => Promise<Verdict>;
