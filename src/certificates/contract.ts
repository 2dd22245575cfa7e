/** The ConfigMap by which a cluster's users know the authority. */
export const authorityConfigMap = "podplug-ca";

/** PEM texts, either of which may be missing: a run may have ended between the two. */
export interface StoredPair {
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

export interface StoredCertificate extends StoredPair {
  /** The authority's certificate as it lies beside this one. */
  readonly authority?: string | undefined;
}

export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/**
 * Where an authority and its certificates are kept. What is kept is whole or
 * wasn't touched; keys are for their owner alone. INVALID_CONFIGURATION when
 * something there can't be used, the store's own reasons when it can't be
 * reached.
 */
export interface CertificateStore {
  /** For people: `pki/ca.crt`, `Secret podplug/podplug-ca`; without a name the authority's. */
  placeOf(name?: string): string;
  authority(signal: AbortSignal): Promise<StoredPair>;
  /** UNREACHABLE when somebody else kept one since it was read. */
  keepAuthority(pair: KeyPair, signal: AbortSignal): Promise<void>;
  /** Puts the authority's certificate where callers find it, unless it is there. */
  publishAuthority(certificate: string, signal: AbortSignal): Promise<void>;
  certificate(name: string, signal: AbortSignal): Promise<StoredCertificate>;
  keepCertificate(
    name: string,
    pair: KeyPair & { readonly authority: string },
    signal: AbortSignal,
  ): Promise<void>;
}
