import { Argument, type Command, Option } from "commander";
import { authorityConfigMap } from "../../../certificates/contract.ts";
import { asPodplugError } from "../../../domain/errors.ts";
import type { JsonObject } from "../../../domain/json.ts";
import { kinds } from "../../../domain/reasons.ts";
import type { CliIo } from "../io.ts";
import {
  agentName,
  agentSecret,
  type CertificateFlags,
  type CertificateRequest,
  parseDays,
  readCertificateRequest,
} from "../options/certificate.ts";
import { collected } from "../options/scalars.ts";
import { createColours } from "../output/colours.ts";
import { formatStreamed } from "../output/documents.ts";
import { formatError } from "../output/error-text.ts";
import { visible } from "../output/visible.ts";
import type { CommandHost } from "./host.ts";

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
      new Option(
        "-o, --output <format>",
        "secret: print it for kubectl apply, a server's with ConfigMap podplug-ca",
      )
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
    .action(async (usage: "server" | "client", name: string | undefined, flags: CertificateFlags) => {
      const request = readCertificateRequest(usage, name, flags);
      finish(await carryOut(request, flags, provide, io));
    });
}

async function carryOut(
  request: CertificateRequest,
  { output, namespace }: CertificateFlags,
  provide: ProvideCertificate,
  io: CliIo,
): Promise<number> {
  const interruption = io.interruption();
  try {
    const provided = await provide(request, interruption.signal);
    const remarks = output === "secret" ? io.stderr : io.stdout;
    for (const line of provided.told) remarks.write(`${visible(line)}\n`);
    if (output === "secret") {
      for (const object of objectsOf(provided, request, namespace)) {
        io.stdout.write(await formatStreamed(object, "yaml"));
      }
    }
    return 0;
  } catch (thrown) {
    if (interruption.signal.aborted) return interruption.exitCode();
    const error = asPodplugError(thrown);
    const coloured = io.stderr.isTTY === true && !io.env.noColor;
    io.stderr.write(formatError(error, "podplug certificates", createColours(coloured)));
    return kinds[error.kind].exitCode;
  }
}

/** The Secret, and beside the agents' the ConfigMap by which callers know their authority. */
function objectsOf(
  { authority, certificate, key }: ProvidedCertificate,
  { usage, keptAs }: CertificateRequest,
  namespace: string,
): readonly JsonObject[] {
  const encoded = (text: string): string => Buffer.from(text).toString("base64");
  const isServer = usage === "server";
  const name = isServer && keptAs === "tls" ? agentSecret : keptAs;
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name, namespace },
    // As the manifests make it, empty at first: a Secret's type can't be changed.
    type: "Opaque",
    data: { "ca.crt": encoded(authority), "tls.crt": encoded(certificate), "tls.key": encoded(key) },
  };
  const configMap = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: authorityConfigMap, namespace },
    data: { "ca.crt": authority },
  };
  return isServer ? [secret, configMap] : [secret];
}
