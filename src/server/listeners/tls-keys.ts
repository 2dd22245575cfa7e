import { constants, createHash, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { messageOf, PodplugError } from "../../domain/errors.ts";
import type { Logger } from "../../domain/log.ts";
import { signerOf } from "./signer.ts";

/** PEM files of the agent's certificate chain, its key, and whoever may have signed clients' certificates. */
export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCAFile?: string | undefined;
}

/** What the files held when they were last whole. */
export interface TlsKeys extends Disposable {
  readonly options: SecureContextOptions;
  /** When the last certificate ends that this authority of the clients' has; undefined when it is none. */
  trustedUntil(signer: string): Date | undefined;
  /** Calls back with each new content. */
  onChange(listener: (options: SecureContextOptions) => void): void;
}

/** By who signs with it, the end of each one's last certificate. */
type Authorities = ReadonlyMap<string, Date>;

interface Content {
  readonly digest: string;
  readonly options: SecureContextOptions;
  readonly authorities: Authorities;
  /** When the certificate ends. */
  readonly notAfter: Date;
}

/**
 * Reads the files and looks at them again every `rereadMs`: by their content,
 * since symbolic links are swapped under their names. What can't be used
 * leaves the keys as they were, and is logged, as is a certificate that has
 * expired; at the start what can't be used is INVALID_CONFIGURATION.
 */
export async function followTlsKeys(options: {
  readonly files: TlsFiles;
  readonly rereadMs: number;
  readonly log: Logger;
}): Promise<TlsKeys> {
  const { files, rereadMs, log } = options;
  const listeners: ((changed: SecureContextOptions) => void)[] = [];
  let content = await readContent(files);
  let found: string | undefined;
  let told: string | undefined;
  let ended = false;
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
  }, rereadMs).unref();

  async function look(): Promise<void> {
    let fault: string | undefined;
    try {
      const read = await readContent(files);
      if (ended) return;
      if (read.digest !== content.digest) {
        content = read;
        for (const listener of listeners) listener(read.options);
        log.info({ ...files, notAfter: read.notAfter }, "TLS files changed and are in use");
      }
      if (read.notAfter.getTime() < Date.now()) fault = `certFile ${files.certFile} has expired`;
    } catch (error) {
      fault = `${messageOf(error)}; what was there before stays in use`;
    }
    // A look may fall between the new certificate and its key: what is wrong stays so.
    const lasts = fault === found;
    found = fault;
    if (!lasts || fault === told) return;
    told = fault;
    if (fault !== undefined) log.error({ fault }, "TLS files aren't as they should be");
  }

  return {
    get options() {
      return content.options;
    },
    trustedUntil: (signer) => content.authorities.get(signer),
    onChange: (listener) => void listeners.push(listener),
    [Symbol.dispose]() {
      ended = true;
      clearInterval(timer);
    },
  };
}

async function readContent(files: TlsFiles): Promise<Content> {
  const { certFile, keyFile, clientCAFile } = files;
  const cert = await readPem(certFile);
  const key = await readPem(keyFile);
  const ca = clientCAFile === undefined ? undefined : await readPem(clientCAFile);
  const options: SecureContextOptions = {
    cert,
    key,
    ca,
    minVersion: "TLSv1.2",
    // A session that is resumed isn't verified again, by whatever authorities are trusted then.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
  };
  let notAfter: Date;
  try {
    createSecureContext(options);
    notAfter = new X509Certificate(cert).validToDate;
  } catch (cause) {
    throw unusable(`certFile ${certFile} and keyFile ${keyFile} can't be used: ${messageOf(cause)}`, cause);
  }
  const digest = createHash("sha256").update([cert, key, ca].join("\0")).digest("hex");
  const authorities = ca === undefined ? new Map() : authoritiesIn(ca, clientCAFile);
  return { digest, options, authorities, notAfter };
}

async function readPem(file: string): Promise<string> {
  try {
    const text = await readFile(file, "utf8");
    // For Node.js an empty one is as good as none; it may just be about to be written.
    if (text === "") throw new Error(`${file} is empty`);
    return text;
  } catch (cause) {
    throw unusable(`a file can't be read: ${messageOf(cause)}`, cause);
  }
}

const certificateBlock = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function authoritiesIn(pem: string, file: string | undefined): Authorities {
  const blocks = pem.match(certificateBlock) ?? [];
  try {
    if (blocks.length === 0) throw new Error("there is no certificate in it");
    const certificates = blocks.map((block) => new X509Certificate(block));
    certificates.sort((one, other) => one.validToDate.getTime() - other.validToDate.getTime());
    return new Map(certificates.map((each) => [signerOf(each), each.validToDate]));
  } catch (cause) {
    throw unusable(`clientCAFile ${file} can't be used: ${messageOf(cause)}`, cause);
  }
}

function unusable(why: string, cause: unknown): PodplugError {
  return new PodplugError("INVALID_CONFIGURATION", `api.tls: ${why}`, { cause });
}
