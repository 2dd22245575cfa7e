import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { createNodeClient, type NodeClient, type NodeClientOptions } from "../../src/client/node-client.ts";
import type { NetworkSource } from "../../src/domain/selection.ts";
import type { Authorizer, Credential } from "../../src/server/auth/contract.ts";
import type { ServerLimits } from "../../src/server/limits.ts";
import { type Server, startServer } from "../../src/server/server.ts";
import { createFakeNode, type FakeNode } from "../fakes/fake-node-api.ts";
import { type Certificate, createAuthority } from "../support/certificates.ts";
import { createRecordingLog, type LogLine } from "../support/recording-log.ts";
import { createKeptLog, makeDirectory, onePage } from "./started-server.ts";

export const authority = createAuthority("podplug's authority");
export const clients = createAuthority("clients' authority");
export const stranger = createAuthority("somebody else");

/** The files of a server's keys, changed as a cluster changes a mounted secret's. */
export interface KeyFiles {
  readonly files: { readonly certFile: string; readonly keyFile: string; readonly clientCAFile: string };
  /** Writes them all anew behind a symbolic link, and swaps the link. */
  swap(keys: Certificate, clientCAs: string): Promise<void>;
}

async function makeKeyFiles(directory: string): Promise<KeyFiles> {
  let version = 0;
  const at = (name: string): string => join(directory, "..data", name);
  async function swap(keys: Certificate, clientCAs: string): Promise<void> {
    version += 1;
    const folder = join(directory, `..version-${version}`);
    await mkdir(folder);
    await writeFile(join(folder, "tls.crt"), keys.cert);
    await writeFile(join(folder, "tls.key"), keys.key);
    await writeFile(join(folder, "ca.crt"), clientCAs);
    await symlink(folder, join(directory, "..new"));
    await rename(join(directory, "..new"), join(directory, "..data"));
  }
  await swap(authority.issue("node-1", ["127.0.0.1"]), clients.cert);
  return {
    files: { certFile: at("tls.crt"), keyFile: at("tls.key"), clientCAFile: at("ca.crt") },
    swap,
  };
}

export interface TlsStarted {
  readonly node: FakeNode;
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  readonly keys: KeyFiles;
  readonly logged: readonly (readonly [string, string, object])[];
  /** The audit's lines. */
  readonly audited: readonly LogLine[];
  /** By its client certificate, or with what is given instead. */
  clientOf(certificate?: Certificate, options?: Partial<NodeClientOptions>): Promise<NodeClient>;
}

export const everything: Authorizer = async () => ({ allowed: true });

/** A server on a TLS port of loopback alone, with a node in memory behind; gone with the test. */
export async function startTlsServer(
  options: {
    readonly authorizer?: Authorizer;
    readonly credentials?: readonly Credential[];
    readonly sources?: readonly NetworkSource[];
    readonly limits?: Partial<ServerLimits>;
  } = {},
): Promise<TlsStarted> {
  const { authorizer = everything, credentials = [], sources = ["netAttachDef"], limits = {} } = options;
  const directory = await makeDirectory();
  const keys = await makeKeyFiles(directory);
  const node = createFakeNode();
  const { log, logged } = createKeptLog();
  const audit = createRecordingLog();
  const server = await startServer({
    apiFor: node.apiFor,
    targetOf: node.targetOf,
    listen: { tls: { host: "127.0.0.1", port: 0, files: keys.files, credentials, authorizer } },
    sources,
    limits: { tlsRereadMs: 20, ...limits },
    log,
    audit,
    metrics: onePage,
    version: "9.8.7",
  });
  onTestFinished(() => server.close(0));
  server.setServing(true);
  const port = server.addresses.tls?.port ?? 0;
  const url = `https://127.0.0.1:${port}`;
  const caFile = join(directory, "server-ca.crt");
  await writeFile(caFile, authority.cert);
  let clientsMade = 0;
  return {
    node,
    server,
    port,
    url,
    keys,
    logged,
    audited: audit.lines,
    async clientOf(certificate, extra = {}) {
      clientsMade += 1;
      const file = join(directory, `client-${clientsMade}`);
      if (certificate) {
        await writeFile(`${file}.crt`, certificate.cert);
        await writeFile(`${file}.key`, certificate.key);
      }
      const shown = certificate && { clientCertFile: `${file}.crt`, clientKeyFile: `${file}.key` };
      const client = createNodeClient({ server: url, caFile, ...shown, ...extra });
      onTestFinished(() => client.close());
      return client;
    },
  };
}
