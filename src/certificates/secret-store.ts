import type { Secret, Secrets } from "../kube/contract.ts";
import type { CertificateStore, StoredPair } from "./contract.ts";

/** Where the authority is. */
const authoritySecret = "podplug-ca";

/**
 * Secrets of a cluster, in the form that Kubernetes has for TLS (`tls.crt`,
 * `tls.key`, and `ca.crt` beside them), which cert-manager takes as well.
 */
export function createSecretStore(secrets: Secrets, namespace: string): CertificateStore {
  // What was read is what a write replaces.
  const seen = new Map<string, Secret | undefined>();

  async function read(
    name: string,
    signal: AbortSignal,
  ): Promise<StoredPair & { authority?: string | undefined }> {
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
    placeOf: (name = authoritySecret) => `Secret ${namespace}/${name}`,
    authority: (signal) => read(authoritySecret, signal),
    async keepAuthority({ certificate, key }, signal) {
      const data = { "tls.crt": certificate, "tls.key": key };
      await secrets.write(authoritySecret, data, seen.get(authoritySecret), signal);
    },
    certificate: read,
    async keepCertificate(name, { certificate, key, authority }, signal) {
      const data = { "tls.crt": certificate, "tls.key": key, "ca.crt": authority };
      await secrets.write(name, data, seen.get(name), signal);
    },
  };
}
