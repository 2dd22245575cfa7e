import { createDirectoryStore } from "./certificates/directory-store.ts";
import { provideCertificate } from "./certificates/provide.ts";
import { createSecretStore } from "./certificates/secret-store.ts";
import type { ProvidedCertificate } from "./client/cli/commands/certificates.ts";
import type { CertificateRequest } from "./client/cli/options/certificate.ts";
import { systemClock } from "./domain/clock.ts";
import { PodplugError } from "./domain/errors.ts";
import { createKubeAccess, type KubeLocation } from "./kube/access.ts";
import { createApiClient } from "./kube/api-client.ts";
import { createDataObjects } from "./kube/data-objects.ts";
import { lockFile } from "./state-lock.ts";

/** `podplug certificates`: composes the store that the request names. */
export async function provideRequested(
  request: CertificateRequest,
  env: Readonly<Record<string, string | undefined>>,
  signal: AbortSignal,
): Promise<ProvidedCertificate> {
  const { place, keptAs, commonName, organizations, ...rest } = request;
  const options = {
    name: keptAs,
    wanted: { ...rest, subject: { commonName, organizations } },
    clock: systemClock,
  };
  if (place.kind === "directory") {
    const store = createDirectoryStore({ directory: place.path, lock: lockFile });
    return await provideCertificate({ ...options, store }, signal);
  }
  const { namespace } = place;
  using access = await createKubeAccess(locationOf(place.kubeconfig, env));
  const client = createApiClient({ access, clock: systemClock });
  const store = createSecretStore({
    secrets: createDataObjects({ client, namespace, kind: "Secret" }),
    configMaps: createDataObjects({ client, namespace, kind: "ConfigMap" }),
    namespace,
  });
  return await provideCertificate({ ...options, store }, signal);
}

function locationOf(
  kubeconfig: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): KubeLocation {
  if (kubeconfig !== undefined) return { kind: "kubeconfig", path: kubeconfig };
  const host = env["KUBERNETES_SERVICE_HOST"];
  const port = env["KUBERNETES_SERVICE_PORT"];
  if (host && port) return { kind: "in-cluster", host, port };
  throw new PodplugError(
    "INVALID_CONFIGURATION",
    "this isn't a pod with a service account: name a kubeconfig file with --kubeconfig",
  );
}
