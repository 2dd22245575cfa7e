import { isIP } from "node:net";
import { InvalidArgumentError } from "commander";
import { isObjectName } from "../../../domain/names.ts";

/** A certificate as it is to be, and where it is kept. */
export interface CertificateRequest {
  readonly usage: "server" | "client";
  readonly commonName: string;
  readonly organizations: readonly string[];
  /** DNS names and IP addresses. */
  readonly names: readonly string[];
  readonly days: number;
  readonly renewBeforeDays: number;
  /** Of its files, or its Secret. */
  readonly keptAs: string;
  readonly place:
    | { readonly kind: "directory"; readonly path: string }
    /** Without a kubeconfig by the pod's own service account. */
    | { readonly kind: "cluster"; readonly namespace: string; readonly kubeconfig: string | undefined };
}

export interface CertificateFlags {
  readonly dir?: string;
  readonly cluster?: boolean;
  readonly kubeconfig?: string;
  readonly namespace: string;
  readonly as?: string;
  readonly name?: readonly string[];
  readonly group?: readonly string[];
  readonly days: number;
  readonly renewBefore: number;
  readonly output: "text" | "secret";
}

/** What all agents' certificates are for, unless told otherwise: a node has many addresses, and pods none of its names. */
export const agentName = "podplug.node";
export const agentSecret = "podplug-tls";
/** Half of what the authority lasts, which is replaced before it would end first. */
const maxDays = 1825;
/** Of an X.509 common name (RFC 5280, appendix A). */
const maxNameLength = 64;

/** What the command line asks for. @throws InvalidArgumentError when it contradicts itself */
export function readCertificateRequest(
  usage: "server" | "client",
  name: string | undefined,
  flags: CertificateFlags,
): CertificateRequest {
  const isServer = usage === "server";
  const names = flags.name ?? (isServer ? [agentName] : []);
  const organizations = flags.group ?? [];
  const expect = (holds: boolean, otherwise: string): void => {
    if (!holds) throw new InvalidArgumentError(otherwise);
  };
  expect((flags.dir === undefined) === (flags.cluster === true), "Give either --dir or --cluster.");
  expect(flags.kubeconfig === undefined || flags.cluster === true, "--kubeconfig is for --cluster.");
  expect(
    flags.output === "text" || flags.dir !== undefined,
    "-o secret is for --dir: with --cluster it is one.",
  );
  expect(isServer === (name === undefined), isServer ? "A server has --name." : "Name the client.");
  expect(!isServer || flags.group === undefined, "--group is for clients.");
  expect(isServer || flags.name === undefined, "--name is for servers.");
  expect(flags.renewBefore < flags.days, "--renew-before must be less than --days.");
  expect(isObjectName(flags.namespace), `${flags.namespace} can't be a namespace.`);
  for (const each of names)
    expect(isIP(each) !== 0 || isHostName(each), `${each} is neither a DNS name nor an address.`);
  // Nobody looks at a server's: its names count.
  const commonName = name ?? names.find((each) => each.length <= maxNameLength) ?? agentName;
  for (const each of [commonName, ...organizations]) {
    expect(
      isWord(each),
      `${JSON.stringify(each)} can't be a name: 1 to ${maxNameLength} characters, none of them blank at its ends or invisible.`,
    );
  }
  const keptAs = flags.as ?? (name === undefined ? (flags.cluster ? agentSecret : "tls") : name);
  expect(isObjectName(keptAs), `${keptAs} can't be a file's or a Secret's name; give another with --as.`);
  expect(
    !["ca", "podplug-ca"].includes(keptAs),
    `${keptAs} is the authority's; give another name with --as.`,
  );
  return {
    usage,
    commonName,
    organizations,
    names,
    days: flags.days,
    renewBeforeDays: flags.renewBefore,
    keptAs,
    place:
      flags.dir === undefined
        ? { kind: "cluster", namespace: flags.namespace, kubeconfig: flags.kubeconfig }
        : { kind: "directory", path: flags.dir },
  };
}

export function parseDays(text: string): number {
  const days = Number(text);
  if (!/^\d{1,4}$/.test(text) || days < 1 || days > maxDays) {
    throw new InvalidArgumentError(`Use a number of days, 1 to ${maxDays}.`);
  }
  return days;
}

function isHostName(name: string): boolean {
  return isObjectName(name) && !/^[\d.]+$/.test(name);
}

function isWord(name: string): boolean {
  return name.length > 0 && name.length <= maxNameLength && name === name.trim() && !/\p{C}/u.test(name);
}
