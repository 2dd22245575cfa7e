import { isIP } from "node:net";
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import { asPodplugError, kinds } from "../../../domain/errors.ts";
import { isObjectName } from "../../../domain/names.ts";
import type { CliIo } from "../io.ts";
import { collected } from "../options/scalars.ts";
import { createColours } from "../output/colours.ts";
import { formatDocument } from "../output/documents.ts";
import { formatError } from "../output/error-text.ts";
import { visible } from "../output/visible.ts";
import type { CommandHost } from "./host.ts";

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

/** PEM texts, and what was done. */
export interface ProvidedCertificate {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
  readonly told: readonly string[];
}

export type ProvideCertificate = (
  request: CertificateRequest,
  signal: AbortSignal,
) => Promise<ProvidedCertificate>;

interface Flags {
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
const agentName = "podplug.node";
const agentSecret = "podplug-tls";
/** Of an X.509 common name (RFC 5280, appendix A). */
const maxNameLength = 64;

export function addCertificatesCommand(
  program: Command,
  provide: ProvideCertificate,
  { io, finish }: CommandHost,
): void {
  program
    .command("certificates")
    .summary("make and renew certificates for agents and callers")
    .description(
      "Makes a certificate for the agents' TLS port (server), or for one who calls it\n(client), and an authority to issue it where there is none. What is there and\ngood for long enough stays: run it again to renew.",
    )
    .usage("server|client [NAME] (--dir DIR | --cluster) [options]")
    .addArgument(new Argument("<usage>", "who it is for").choices(["server", "client"]))
    .argument("[name]", "a client's name, which the API server decides by")
    .option("--dir <directory>", "keep authority and certificates in files there, keys for their owner alone")
    .option("--cluster", "keep them in Secrets of a cluster")
    .option("--kubeconfig <file>", "for --cluster (default: the pod's own service account)")
    .option("-n, --namespace <namespace>", "the Secrets' namespace", "podplug")
    .option(
      "--as <name>",
      `what its files, or its Secret, are called (default: tls, or ${agentSecret}; a client's name)`,
    )
    .option(
      "--name <name>",
      `DNS name or address of a server, may be given many times (default: ${agentName})`,
      collected,
    )
    .option("--group <name>", "group of a client, may be given many times", collected)
    .addOption(new Option("--days <n>", "how long a new one lasts").argParser(parseDays).default(90))
    .addOption(
      new Option("--renew-before <days>", "how long before its end it is replaced")
        .argParser(parseDays)
        .default(30),
    )
    .addOption(
      new Option("-o, --output <format>", "secret: print it for kubectl apply")
        .choices(["text", "secret"])
        .default("text"),
    )
    .addHelpText(
      "after",
      `
Examples:
  For the agents of a cluster, with the authority's key kept here:
    podplug certificates server --dir pki -o secret | kubectl apply -f -
  For an orchestrator, which may do what RBAC lets user vnf do:
    podplug certificates client vnf --dir pki`,
    )
    .action(async (usage: "server" | "client", name: string | undefined, flags: Flags) => {
      const request = requestOf(usage, name, flags);
      finish(await carryOut(request, flags, provide, io));
    });
}

async function carryOut(
  request: CertificateRequest,
  { output, namespace }: Flags,
  provide: ProvideCertificate,
  io: CliIo,
): Promise<number> {
  try {
    const provided = await provide(request, io.interruption().signal);
    const remarks = output === "secret" ? io.stderr : io.stdout;
    for (const line of provided.told) remarks.write(`${visible(line)}\n`);
    if (output === "secret") {
      const name = request.usage === "server" && request.keptAs === "tls" ? agentSecret : request.keptAs;
      io.stdout.write(await formatDocument(secretOf(provided, namespace, name), "yaml"));
    }
    return 0;
  } catch (thrown) {
    const error = asPodplugError(thrown);
    const coloured = io.stderr.isTTY === true && !io.env.noColor;
    io.stderr.write(formatError(error, "certificates", createColours(coloured)));
    return kinds[error.kind].exitCode;
  }
}

function requestOf(usage: "server" | "client", name: string | undefined, flags: Flags): CertificateRequest {
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
  const commonName = name ?? names[0] ?? agentName;
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

function secretOf({ authority, certificate, key }: ProvidedCertificate, namespace: string, name: string) {
  const encoded = (text: string): string => Buffer.from(text).toString("base64");
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace },
    type: "kubernetes.io/tls",
    data: { "ca.crt": encoded(authority), "tls.crt": encoded(certificate), "tls.key": encoded(key) },
  };
}

function parseDays(text: string): number {
  const days = Number(text);
  if (!/^\d{1,4}$/.test(text) || days < 1 || days > 3650) {
    throw new InvalidArgumentError("Use a number of days, 1 to 3650.");
  }
  return days;
}

function isHostName(name: string): boolean {
  return isObjectName(name) && !/^[\d.]+$/.test(name);
}

function isWord(name: string): boolean {
  return name.length > 0 && name.length <= maxNameLength && name === name.trim() && !/\p{C}/u.test(name);
}
