import { createHash, type X509Certificate } from "node:crypto";

/**
 * Who signs with a certificate: its name and its key. Certificates that an
 * authority has one after the other have both in common, so that each vouches
 * for what was issued under another (RFC 5280, section 6.1.1: a trust anchor is
 * a name and a key).
 */
export function signerOf({ subject, publicKey }: X509Certificate): string {
  const key = publicKey.export({ type: "spki", format: "der" });
  return createHash("sha256").update(key).update(subject).digest("hex");
}
