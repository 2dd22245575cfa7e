import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
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

/** A certificate for a server or a client, with a key of its own. */
export function issueLeaf(options: LeafOptions, authority: KeyPair): KeyPair {
  const key = newKey();
  const publicKey = createPublicKey(key);
  const issuer = AsnConvert.parse(derOf(authority.certificate), Certificate).tbsCertificate;
  const purpose = options.usage === "server" ? id_kp_serverAuth : id_kp_clientAuth;
  const issuerKey = keyIdentifier(createPublicKey(authority.key));
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), "critical"),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), "critical"),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([purpose])),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(publicKey))),
    extension(
      id_ce_authorityKeyIdentifier,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(issuerKey) }),
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

/** RFC 5280, 4.2.1.2, method 1: of the key's bits alone. */
function keyIdentifier(publicKey: KeyObject): ArrayBuffer {
  const bits = new Uint8Array(spkiOf(publicKey).subjectPublicKey);
  return bufferOf(createHash("sha1").update(bits).digest());
}

function spkiOf(publicKey: KeyObject): SubjectPublicKeyInfo {
  return AsnConvert.parse(publicKey.export({ type: "spki", format: "der" }), SubjectPublicKeyInfo);
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ""), "base64");
}

/** Of its own: Node's small buffers share one. */
function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
