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
 * Where an authority and its certificates are kept; keys are for their owner
 * alone. Each text is whole or wasn't touched. Of a pair the key is never the
 * older one: where a run ended between the two, the next one sees that they
 * don't match. INVALID_CONFIGURATION when something there can't be used, the
 * store's own reasons when it can't be reached.
 */
export interface CertificateStore {
  /**
   * For one run, from what it reads to what it keeps: of two at once one is
   * refused, here or when it keeps something. UNREACHABLE, to be tried again.
   */
  hold(signal: AbortSignal): Promise<AsyncDisposable>;
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
