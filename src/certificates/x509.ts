import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIP } from "node:net";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_clientAuth,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";
import type { KeyPair } from "./contract.ts";

/* Certificates after RFC 5280, with ECDSA on P-256 throughout. */

export interface Span {
  readonly from: Date;
  readonly until: Date;
}

/** Who a certificate is for. */
export interface Subject {
  readonly commonName: string;
  readonly organizations: readonly string[];
}

export interface LeafOptions extends Span {
  readonly subject: Subject;
  readonly usage: "server" | "client";
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
}

const commonNameType = "2.5.4.3";
const organizationType = "2.5.4.10";
const ecdsaWithSha256 = "1.2.840.10045.4.3.2";

const firstCertificate = /-----BEGIN [A-Z0-9 ]*CERTIFICATE-----[^-]*-----END [A-Z0-9 ]*CERTIFICATE-----\n?/;

export function newKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** The certificate of an authority that issues to servers and clients, never to other authorities. */
export function issueAuthority(commonName: string, key: string, span: Span): string {
  const name = nameOf({ commonName, organizations: [] });
  const publicKey = createPublicKey(key);
  return issue({
    span,
    subject: name,
    issuer: name,
    publicKey,
    signer: key,
    extensions: [
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), "critical"),
      extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign), "critical"),
      extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(publicKey))),
    ],
  });
}

/**
 * The next certificate of an authority that issued its own: with another span,
 * and else what it was, so that each vouches for what was issued under the other.
 * What lies beside it in its text stays.
 */
export function renewAuthority({ certificate, key }: KeyPair, span: Span): string {
  const before = contentOf(certificate);
  const next = issue({
    span,
    subject: before.subject,
    issuer: before.subject,
    publicKey: createPublicKey(key),
    signer: key,
    // It may name its issuer by the serial number, which is another now.
    extensions: (before.extensions ?? []).filter(({ extnID }) => extnID !== id_ce_authorityKeyIdentifier),
  });
  return certificate.replace(firstCertificate, next);
}

/** A certificate for a server or a client, with a key of its own. */
export function issueLeaf(options: LeafOptions, authority: KeyPair): KeyPair {
  const key = newKey();
  const publicKey = createPublicKey(key);
  const issuer = contentOf(authority.certificate);
  const purpose = options.usage === "server" ? id_kp_serverAuth : id_kp_clientAuth;
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), "critical"),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), "critical"),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([purpose])),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(publicKey))),
    extension(
      id_ce_authorityKeyIdentifier,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifierIn(issuer)) }),
    ),
  ];
  if (options.names.length > 0) {
    const names = options.names.map(
      (name) => new GeneralName(isIP(name) ? { iPAddress: name } : { dNSName: name }),
    );
    extensions.push(extension(id_ce_subjectAltName, new SubjectAlternativeName(names)));
  }
  const subject = nameOf(options.subject);
  const certificate = issue({
    span: options,
    subject,
    // Byte for byte: who verifies compares it so.
    issuer: issuer.subject,
    publicKey,
    signer: authority.key,
    extensions,
  });
  return { certificate, key };
}

interface IssueOptions {
  readonly span: Span;
  readonly subject: Name;
  readonly issuer: Name;
  readonly publicKey: KeyObject;
  /** PEM. */
  readonly signer: string;
  readonly extensions: Extension[];
}

function issue({ span, subject, issuer, publicKey, signer, extensions }: IssueOptions): string {
  const signatureAlgorithm = new AlgorithmIdentifier({ algorithm: ecdsaWithSha256 });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: signatureAlgorithm,
    issuer,
    validity: new Validity({ notBefore: span.from, notAfter: span.until }),
    subject,
    subjectPublicKeyInfo: spkiOf(publicKey),
    extensions: new Extensions(extensions),
  });
  const signed = Buffer.from(AsnConvert.serialize(tbsCertificate));
  const signatureValue = bufferOf(sign("sha256", signed, signer));
  const certificate = new Certificate({ tbsCertificate, signatureAlgorithm, signatureValue });
  const lines =
    Buffer.from(AsnConvert.serialize(certificate))
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** Positive, without a leading zero, and never the same again. */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bufferOf(bytes);
}

function nameOf({ commonName, organizations }: Subject): Name {
  const attributes = [
    ...organizations.map((name) => [organizationType, name] as const),
    [commonNameType, commonName] as const,
  ];
  return new Name(
    attributes.map(([type, text]) => {
      const value = new AttributeValue({ utf8String: text });
      return new RelativeDistinguishedName([new AttributeTypeAndValue({ type, value })]);
    }),
  );
}

function extension(extnID: string, value: unknown, critical?: "critical"): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new Extension({ extnID, critical: critical !== undefined, extnValue });
}

/** As the certificate itself says: not every authority has it by the method below. */
function keyIdentifierIn({ extensions, subjectPublicKeyInfo }: TBSCertificate): ArrayBuffer | OctetString {
  const told = extensions?.find(({ extnID }) => extnID === id_ce_subjectKeyIdentifier);
  if (told) return AsnConvert.parse(told.extnValue, SubjectKeyIdentifier).buffer;
  return digestOf(subjectPublicKeyInfo);
}

/** RFC 5280, 4.2.1.2, method 1: of the key's bits alone. */
function keyIdentifier(publicKey: KeyObject): ArrayBuffer {
  return digestOf(spkiOf(publicKey));
}

function digestOf({ subjectPublicKey }: SubjectPublicKeyInfo): ArrayBuffer {
  return bufferOf(createHash("sha1").update(new Uint8Array(subjectPublicKey)).digest());
}

function spkiOf(publicKey: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(publicKey.export({ type: "spki", format: "der" }), SubjectPublicKeyInfo);
}

/** Of the first certificate that the text has. */
function contentOf(pem: string): TBSCertificate {
  return AsnConvert.parse(new X509Certificate(pem).raw, Certificate).tbsCertificate;
}

/** Of its own: Node's small buffers share one. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
