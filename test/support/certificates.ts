import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

export interface Certificate {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
}

interface Issuer extends Certificate {
  readonly privateKey: KeyObject;
  readonly name: string;
}

export interface CertificateOptions {
  readonly organizations?: readonly string[];
  /** A day from now when absent. */
  readonly notAfter?: Date;
}

/** An authority for one test run, its own or another's; nothing that is secret lies in the tree. */
export function createAuthority(
  name = "test authority",
  { by, ...span }: { readonly by?: Issuer; readonly notAfter?: Date } = {},
): Issuer & {
  /** For a server of these DNS names and IP addresses, or a client of this name. */
  issue(subject: string, names?: readonly string[], options?: CertificateOptions): Certificate;
  /** Its next certificate, of the same name and key; PEM. */
  renew(): string;
} {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
  const issuer = { privateKey, name };
  const keyIdentifier = subjectKeyIdentifier();
  const certificateFor = (dates: { readonly notAfter?: Date }): string =>
    certificate({
      ...dates,
      subject: name,
      publicKey,
      issuer: by ?? issuer,
      extensions: [basicConstraints, keyIdentifier],
    });
  return {
    ...issuer,
    cert: certificateFor(span),
    key: pem(privateKey),
    renew: () => certificateFor({}),
    issue(subject, names = [], options = {}) {
      const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const extensions = names.length === 0 ? [] : [subjectAltName(names)];
      return {
        cert: certificate({ ...options, subject, publicKey: own.publicKey, issuer, extensions }),
        key: pem(own.privateKey),
      };
    },
  };
}

// X.509 (RFC 5280) in DER, as far as TLS needs it.

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
};
const sequence = (...parts: Uint8Array[]): Buffer => der(0x30, ...parts);
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, "hex"));
const utcTime = (date: Date): Buffer =>
  der(0x17, Buffer.from(`${date.toISOString().replaceAll(/[-:T]/g, "").slice(2, 14)}Z`));
const attribute = (id: string, text: string): Buffer =>
  der(0x31, sequence(oid(id), der(0x0c, Buffer.from(text))));
/** An empty common name stands for none. */
const distinguishedName = (commonName: string, organizations: readonly string[] = []): Buffer =>
  sequence(
    ...organizations.map((name) => attribute("55040a", name)),
    ...(commonName === "" ? [] : [attribute("550403", commonName)]),
  );
const ecdsaWithSha256 = sequence(oid("2a8648ce3d040302"));
const extension = (id: string, value: Uint8Array): Buffer => sequence(oid(id), der(0x04, value));
/** CA: true. */
const basicConstraints = extension("551d13", sequence(der(0x01, Buffer.from([0xff]))));
/** Any: how it follows from the key is each authority's affair. */
const subjectKeyIdentifier = (): Buffer => extension("551d0e", der(0x04, randomBytes(20)));

function subjectAltName(names: readonly string[]): Buffer {
  const general = names.map((name) =>
    isIP(name) === 4 ? der(0x87, Buffer.from(name.split(".").map(Number))) : der(0x82, Buffer.from(name)),
  );
  return extension("551d11", sequence(...general));
}

function certificate(
  options: {
    readonly subject: string;
    readonly publicKey: KeyObject;
    readonly issuer: { readonly name: string; readonly privateKey: KeyObject };
    readonly extensions: readonly Uint8Array[];
  } & CertificateOptions,
): string {
  const dayMs = 86_400_000;
  const serial = randomBytes(8);
  serial[0] = 0x01;
  const { notAfter = new Date(Date.now() + dayMs) } = options;
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    ecdsaWithSha256,
    distinguishedName(options.issuer.name),
    sequence(utcTime(new Date(Date.now() - dayMs)), utcTime(notAfter)),
    distinguishedName(options.subject, options.organizations),
    options.publicKey.export({ type: "spki", format: "der" }),
    ...(options.extensions.length === 0 ? [] : [der(0xa3, sequence(...options.extensions))]),
  );
  const signature = sign("sha256", body, options.issuer.privateKey);
  const whole = sequence(body, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}
