import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { PodplugError } from "../domain/errors.ts";
import type { StoredPair } from "./contract.ts";
import type { Subject } from "./x509.ts";

/* What is to be done about a certificate that is there, or isn't. */

export const dayMs = 86_400_000;

/**
 * Long before the end: who verifies with the present certificate has that long
 * to get the next one.
 */
const renewAuthorityBeforeDays = 365;

/** What a certificate is to be. */
export interface Wanted {
  readonly subject: Subject;
  readonly usage: "server" | "client";
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  /** How long a new one lasts. */
  readonly days: number;
  /** How long before its end it is replaced. */
  readonly renewBeforeDays: number;
}

/** Why another certificate is needed; undefined when the one that is there will do. */
export function whyAnother(
  { certificate, key }: StoredPair,
  authority: X509Certificate,
  wanted: Wanted,
  now: Date,
): string | undefined {
  if (certificate === undefined || key === undefined) return "its key or itself is missing";
  const found = readCertificate(certificate);
  const privateKey = readKey(key);
  if (found === undefined || privateKey === undefined) return "it can't be read";
  if (!found.checkPrivateKey(privateKey)) return "its key is another's";
  // Its name counts as much as its key: who verifies goes by both.
  if (!found.checkIssued(authority) || !found.verify(authority.publicKey))
    return "another authority issued it";
  if (isNear(found, wanted.renewBeforeDays, now)) return `it ends on ${dayOf(found.validToDate)}`;
  if (!isFor(found, wanted)) return "it is for others";
  return undefined;
}

/** An authority as it is kept. */
export type KnownAuthority =
  // A run ended before its certificate was kept: the key is as good as before.
  | { readonly key: string; readonly certificate?: undefined }
  | { readonly key: string; readonly certificate: string; readonly read: X509Certificate };

/**
 * The authority, if it can issue; undefined when there is none.
 * INVALID_CONFIGURATION when it is of no use: it is somebody's, and isn't
 * replaced unasked.
 */
export function readAuthority({ certificate, key }: StoredPair, place: string): KnownAuthority | undefined {
  if (certificate === undefined && key === undefined) return undefined;
  if (key === undefined) {
    throw unusable(
      place,
      "its key is missing; put it back, or take the certificate away to have another authority",
    );
  }
  const privateKey = readKey(key);
  if (privateKey?.asymmetricKeyDetails?.namedCurve !== "prime256v1") {
    throw unusable(place, "its key isn't an ECDSA key on P-256, without a passphrase");
  }
  if (certificate === undefined) return { key };
  const read = readCertificate(certificate);
  if (read === undefined) throw unusable(place, "it isn't a certificate in PEM");
  if (!read.ca) throw unusable(place, "it isn't an authority's certificate");
  if (!read.checkPrivateKey(privateKey)) throw unusable(place, "its key is another's");
  return { key, certificate, read };
}

/**
 * Whether the authority gets its next certificate now: what is issued, for so
 * many days, doesn't outlive it. INVALID_CONFIGURATION where another authority
 * has to make it.
 */
export function mustRenew(
  authority: X509Certificate,
  { days, place }: { readonly days: number; readonly place: string },
  now: Date,
): boolean {
  if (authority.checkIssued(authority) && authority.verify(authority.publicKey)) {
    return isNear(authority, Math.max(renewAuthorityBeforeDays, days), now);
  }
  if (!isNear(authority, days, now)) return false;
  const end = dayOf(authority.validToDate);
  throw unusable(place, `it ends on ${end}, and another authority issued it: put its next certificate there`);
}

function isNear({ validToDate }: X509Certificate, days: number, now: Date): boolean {
  return validToDate.getTime() - now.getTime() < days * dayMs;
}

export function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function isFor(found: X509Certificate, { subject, usage, names }: Wanted): boolean {
  const purpose = usage === "server" ? "1.3.6.1.5.5.7.3.1" : "1.3.6.1.5.5.7.3.2";
  const has = found.toLegacyObject().subject;
  const known = found.subjectAltName?.split(", ") ?? [];
  return (
    has.CN === subject.commonName &&
    [has.O ?? []].flat().join("\n") === subject.organizations.join("\n") &&
    (found.keyUsage ?? []).join() === purpose &&
    known.length === names.length &&
    names.every((name) => (isIP(name) ? found.checkIP(name) : found.checkHost(name, { subject: "never" })))
  );
}

function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function readKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

function unusable(place: string, why: string): PodplugError {
  return new PodplugError("INVALID_CONFIGURATION", `the authority in ${place} can't be used: ${why}`);
}
