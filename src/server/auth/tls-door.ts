import { systemClock } from "../../domain/clock.ts";
import type { Door } from "../admission.ts";
import type { TlsFiles, TlsKeys } from "../listeners/tls-keys.ts";
import { createCertificateCredential } from "./client-certificate.ts";
import type { Authorizer, Credential } from "./contract.ts";
import { createAuthenticator } from "./credentials.ts";

/** A port with TLS, where every caller is authenticated and authorized. */
export interface TlsAddress {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly files: TlsFiles;
  /** What callers may show beside a client certificate. */
  readonly credentials: readonly Credential[];
  readonly authorizer: Authorizer;
}

export function createTlsDoor({ credentials, authorizer }: TlsAddress, keys: TlsKeys): Door {
  const certificates = createCertificateCredential({
    trustedUntil: (signer) => keys.trustedUntil(signer),
    clock: systemClock,
  });
  return {
    transport: "tls",
    authenticate: createAuthenticator([certificates, ...credentials]),
    authorizer,
  };
}
