import type { PeerCertificate } from "node:tls";
import type { Clock } from "../../domain/clock.ts";
import { PodplugError } from "../../domain/errors.ts";
import type { Credential } from "./contract.ts";

/**
 * A client certificate's common name is its user, its organizations are the
 * groups, as a kubelet reads them. TLS verified the chain at the handshake;
 * connections last longer than certificates and authorities, so that both are
 * looked at again for each request. `trusts` says whether an authority, by its
 * fingerprint, is still one of ours.
 */
export function createCertificateCredential(options: {
  readonly trusts: (fingerprint256: string) => boolean;
  readonly clock: Clock;
}): Credential {
  const { trusts, clock } = options;
  return async ({ clientCertificate }) => {
    if (!clientCertificate) return undefined;
    const { chain, fault } = clientCertificate;
    const [leaf] = chain;
    if (fault !== undefined || !leaf) throw refusal(fault ?? "it can't be read");
    const now = clock.now().getTime();
    if (chain.some((certificate) => now > Date.parse(certificate.valid_to))) throw refusal("it has expired");
    if (!chain.some(({ fingerprint256 }) => trusts(fingerprint256))) {
      throw refusal("its authority is no longer trusted");
    }
    const { name, groups } = subjectOf(leaf);
    return { name, groups, extra: {}, reconciler: false, by: "client-certificate" };
  };
}

function subjectOf({ subject }: PeerCertificate): { readonly name: string; readonly groups: string[] } {
  // The types know of single values only.
  const { CN, O } = subject as { readonly CN?: string | string[]; readonly O?: string | string[] };
  const names = [CN ?? []].flat();
  const [name] = names;
  if (!name || names.length > 1) throw refusal("it has no common name, or several");
  return { name, groups: [O ?? []].flat() };
}

function refusal(why: string): PodplugError {
  return new PodplugError("UNAUTHENTICATED", `the client certificate isn't accepted: ${why}`);
}
