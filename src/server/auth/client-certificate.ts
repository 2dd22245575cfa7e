import type { Clock } from "../../domain/clock.ts";
import { PodplugError } from "../../domain/errors.ts";
import type { Credential, ShownCertificate } from "./contract.ts";

/**
 * A client certificate's common name is its user, its organizations are the
 * groups, as a kubelet reads them. TLS verified the chain at the handshake;
 * connections last longer than certificates and authorities, so that both are
 * looked at again for each request. `trustedUntil` says whether a signer is
 * still one of our authorities, and when the last certificate ends that it has
 * by now: an authority that is renewed with its key vouches on.
 */
export function createCertificateCredential(options: {
  readonly trustedUntil: (signer: string) => Date | undefined;
  readonly clock: Clock;
}): Credential {
  const { trustedUntil, clock } = options;
  return async ({ clientCertificate }) => {
    if (!clientCertificate) return undefined;
    const { chain, fault } = clientCertificate;
    const [leaf] = chain;
    if (fault !== undefined || !leaf) throw refusal(fault ?? "it can't be read");
    const now = clock.now();
    if (chain.some(({ signer, notAfter }) => now > (trustedUntil(signer) ?? notAfter))) {
      throw refusal("it has expired");
    }
    if (!chain.some(({ signer }) => trustedUntil(signer)))
      throw refusal("its authority is no longer trusted");
    const { name, groups } = subjectOf(leaf);
    return { name, groups, extra: {}, reconciler: false, by: "client-certificate" };
  };
}

function subjectOf({ subject }: ShownCertificate): { readonly name: string; readonly groups: string[] } {
  const { CN, O } = subject;
  const names = [CN ?? []].flat();
  const [name] = names;
  if (!name || names.length > 1) throw refusal("it has no common name, or several");
  return { name, groups: [O ?? []].flat() };
}

function refusal(why: string): PodplugError {
  return new PodplugError("UNAUTHENTICATED", `the client certificate isn't accepted: ${why}`);
}
