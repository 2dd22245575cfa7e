import { X509Certificate } from "node:crypto";
import type { Clock } from "../domain/clock.ts";
import type { CertificateStore, KeyPair } from "./contract.ts";
import { dayMs, dayOf, mustRenew, readAuthority, type Wanted, whyAnother } from "./verdict.ts";
import { issueAuthority, issueLeaf, newKey, renewAuthority } from "./x509.ts";

/** Clocks differ between the machines of a cluster. */
const skewMs = 5 * 60_000;

const authorityName = "podplug authority";
const authorityDays = 3650;

export interface Provided extends KeyPair {
  readonly authority: string;
  /** What was done, a sentence each. */
  readonly told: readonly string[];
}

/**
 * Has the store hold a certificate as it is wanted, under an authority that is
 * made when there is none, and does nothing that needn't be done: it is to be
 * run again and again.
 */
export async function provideCertificate(
  {
    store,
    name,
    wanted,
    clock,
  }: {
    readonly store: CertificateStore;
    readonly name: string;
    readonly wanted: Wanted;
    readonly clock: Clock;
  },
  signal: AbortSignal,
): Promise<Provided> {
  const now = clock.now();
  const spanOf = (days: number) => ({
    from: new Date(now.getTime() - skewMs),
    until: new Date(now.getTime() + days * dayMs),
  });
  const told: string[] = [];
  await using _ = await store.hold(signal);
  const authority = await provideAuthority();
  await store.publishAuthority(authority.certificate, signal);
  const place = store.placeOf(name);
  const found = await store.certificate(name, signal);
  const { certificate, key } = found;
  const why = whyAnother(found, new X509Certificate(authority.certificate), wanted, now);
  if (why === undefined && certificate !== undefined && key !== undefined) {
    if (found.authority !== authority.certificate) {
      await store.keepCertificate(name, { certificate, key, authority: authority.certificate }, signal);
    }
    told.push(`${place} is good until ${dayOf(new X509Certificate(certificate).validToDate)}`);
    return { certificate, key, authority: authority.certificate, told };
  }
  const made = issueLeaf({ ...wanted, ...spanOf(wanted.days) }, authority);
  await store.keepCertificate(name, { ...made, authority: authority.certificate }, signal);
  const replaced = certificate === undefined ? "" : ` in place of one: ${why}`;
  told.push(`made ${place}, good until ${dayOf(spanOf(wanted.days).until)}${replaced}`);
  return { ...made, authority: authority.certificate, told };

  async function provideAuthority(): Promise<KeyPair> {
    const home = store.placeOf();
    const known = readAuthority(await store.authority(signal), home);
    if (known?.certificate !== undefined && !mustRenew(known.read, { days: wanted.days, place: home }, now)) {
      return known;
    }
    const span = spanOf(authorityDays);
    const isNew = known?.certificate === undefined;
    const authorityKey = known?.key ?? newKey();
    const next = {
      key: authorityKey,
      certificate: isNew ? issueAuthority(authorityName, authorityKey, span) : renewAuthority(known, span),
    };
    await store.keepAuthority(next, signal);
    told.push(`${isNew ? "made" : "renewed"} the authority ${home}, good until ${dayOf(span.until)}`);
    return next;
  }
}
