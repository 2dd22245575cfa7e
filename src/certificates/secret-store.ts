import type { DataObject, DataObjects } from "../kube/contract.ts";
import { authorityConfigMap, type CertificateStore, type StoredCertificate } from "./contract.ts";

/** Where the authority and its key are. */
const authoritySecret = "podplug-ca";

/**
 * Secrets of a cluster, with the keys of Kubernetes's own for TLS (`tls.crt`,
 * `tls.key`, and `ca.crt` beside them), though of type Opaque, which may be empty;
 * and a ConfigMap with `ca.crt` for those who may read no Secret.
 */
export function createSecretStore({
  secrets,
  configMaps,
  namespace,
}: {
  readonly secrets: DataObjects;
  readonly configMaps: DataObjects;
  readonly namespace: string;
}): CertificateStore {
  // What was read is what a write replaces.
  const seen = new Map<string, DataObject | undefined>();

  async function read(name: string, signal: AbortSignal): Promise<StoredCertificate> {
    const secret = await secrets.read(name, signal);
    seen.set(name, secret);
    const { data = {} } = secret ?? {};
    return {
      certificate: data["tls.crt"] || undefined,
      key: data["tls.key"] || undefined,
      authority: data["ca.crt"],
    };
  }

  return {
    // The API server refuses what was read before another one's write.
    hold: () => Promise.resolve(new AsyncDisposableStack()),
    placeOf: (name = authoritySecret) => `Secret ${namespace}/${name}`,
    authority: (signal) => read(authoritySecret, signal),
    async keepAuthority({ certificate, key }, signal) {
      const data = { "tls.crt": certificate, "tls.key": key };
      await secrets.write(authoritySecret, data, seen.get(authoritySecret), signal);
    },
    async publishAuthority(certificate, signal) {
      const known = await configMaps.read(authorityConfigMap, signal);
      if (known?.data["ca.crt"] === certificate) return;
      await configMaps.write(authorityConfigMap, { "ca.crt": certificate }, known, signal);
    },
    certificate: read,
    async keepCertificate(name, { certificate, key, authority }, signal) {
      const data = { "tls.crt": certificate, "tls.key": key, "ca.crt": authority };
      await secrets.write(name, data, seen.get(name), signal);
    },
  };
}
