import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Certificate, createAuthority } from "../../support/certificates.ts";
import { type ClusterAgent, startClusterAgent } from "./agent.ts";
import { startAgentStandIn } from "./agent-stand-in.ts";
import type { Cluster } from "./cluster.ts";

/** An agent as users find it from elsewhere: by its pod, its TLS port, and who signs its certificate. */
export interface TlsAgent extends AsyncDisposable {
  readonly agent: ClusterAgent;
  /** Of its API; any free one. */
  readonly port: number;
  /** PEM, and the file with it. */
  readonly authority: string;
  readonly authorityFile: string;
  readonly certificate: Certificate;
}

export async function startTlsAgent(cluster: Cluster): Promise<TlsAgent> {
  await using cleanup = new AsyncDisposableStack();
  const authority = createAuthority("podplug's authority");
  const certificate = authority.issue("lab", ["podplug.node"]);
  const folder = await cluster.makeFolder();
  const [certFile, keyFile, authorityFile] = ["tls.crt", "tls.key", "ca.crt"].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  await writeFile(certFile, certificate.cert);
  await writeFile(keyFile, certificate.key);
  await writeFile(authorityFile, authority.cert);
  const api = { listen: "0.0.0.0:0", tls: { certFile, keyFile }, auth: { tokenReview: true } };
  const agent = cleanup.use(await startClusterAgent(cluster, { api }));
  cleanup.use(await startAgentStandIn(cluster, "agent-stand-in"));
  const { port = 0 } = agent.program.addresses.tls ?? {};
  const held = cleanup.move();
  return {
    agent,
    port,
    authority: authority.cert,
    authorityFile,
    certificate,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}
