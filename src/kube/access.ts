import { readFile } from "node:fs/promises";
import { Agent, type RequestOptions } from "node:https";
import { isIPv6 } from "node:net";
import type { KubeConfig } from "@kubernetes/client-node";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import { canonicalJson } from "../domain/json.ts";
import { type KubeconfigFiles, loadKubeconfig, tokenFileProvider } from "./kubeconfig.ts";

/** Where the API server is, and who podplug is there. */
export type KubeLocation =
  | ({ readonly kind: "kubeconfig" } & KubeconfigFiles)
  /** A pod's own: KUBERNETES_SERVICE_HOST and _PORT, and the projected files (`ca.crt`, `token`). */
  | {
      readonly kind: "in-cluster";
      readonly host: string;
      readonly port: string;
      readonly directory?: string | undefined;
    };

/** What one request to the API server needs. */
export interface KubeSession {
  readonly server: URL;
  readonly agent: Agent;
  readonly headers: Readonly<Record<string, string>>;
}

export interface KubeAccess extends Disposable {
  /** The context's, or the pod's own; `default` where none is named. */
  readonly namespace: string;
  /** With the credentials as they are now. UNREACHABLE when they can't be read. */
  session(): Promise<KubeSession>;
  /** The API server refused the session's credentials: everything is read anew for the next one. */
  refused(): void;
}

const defaultNamespace = "default";
const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * Credentials of a kubeconfig file or a pod's service account, reread as they
 * are rotated, with one pool of connections. INVALID_CONFIGURATION when they
 * can't be used at all.
 */
export async function createKubeAccess(location: KubeLocation): Promise<KubeAccess> {
  // Loaded only by a node that has a cluster: it is the largest package of all.
  const kubernetes = await loadPackage();
  const load = async (): Promise<KubeConfig> => {
    if (location.kind === "kubeconfig") return loadKubeconfig(location, kubernetes);
    const config = new kubernetes.KubeConfig();
    loadServiceAccount(config, location);
    return config;
  };
  let config: KubeConfig | undefined;
  try {
    config = await load();
    serverOf(config);
  } catch (error) {
    throw new PodplugError("INVALID_CONFIGURATION", `can't use ${describe(location)}: ${messageOf(error)}`, {
      cause: error,
    });
  }
  let pool: { readonly agent: Agent; readonly madeFrom: string } | undefined;

  function agentFor(tls: TlsOptions): Agent {
    const madeFrom = canonicalJson(tls);
    if (pool?.madeFrom === madeFrom) return pool.agent;
    if (pool) retire(pool.agent);
    pool = {
      agent: new Agent({ keepAlive: true, keepAliveMsecs: 30_000, maxSockets: 16, ...tls }),
      madeFrom,
    };
    return pool.agent;
  }

  const namespace = await namespaceOf(location, config);

  return {
    namespace,
    async session() {
      try {
        config ??= await load();
        const server = serverOf(config);
        const options: RequestOptions = { headers: {} };
        await config.applyToHTTPSOptions(options);
        return { server, agent: agentFor(tlsOf(options)), headers: headersOf(options) };
      } catch (error) {
        // The package would keep what it has read for a minute.
        config = undefined;
        throw new PodplugError("UNREACHABLE", `can't use ${describe(location)}: ${messageOf(error)}`, {
          cause: error,
        });
      }
    },
    refused() {
      config = undefined;
    },
    [Symbol.dispose]() {
      pool?.agent.destroy();
    },
  };
}

/** It is the library's users' to install. */
async function loadPackage() {
  try {
    return await import("@kubernetes/client-node");
  } catch (cause) {
    if (systemCodeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new PodplugError("INVALID_CONFIGURATION", "the package @kubernetes/client-node isn't installed", {
      cause,
    });
  }
}

function describe(location: KubeLocation): string {
  return location.kind === "kubeconfig" ? `kubeconfig ${location.path}` : "the pod's service account";
}

async function namespaceOf(location: KubeLocation, config: KubeConfig): Promise<string> {
  if (location.kind === "kubeconfig") {
    return config.getContextObject(config.getCurrentContext())?.namespace || defaultNamespace;
  }
  const file = `${location.directory ?? serviceAccountDirectory}/namespace`;
  // A projected token may be all that the pod was given.
  return (await readFile(file, "utf8").catch(() => defaultNamespace)).trim() || defaultNamespace;
}

function loadServiceAccount(
  config: KubeConfig,
  location: KubeLocation & { readonly kind: "in-cluster" },
): void {
  const { host, port, directory = serviceAccountDirectory } = location;
  config.loadFromClusterAndUser(
    {
      name: "cluster",
      server: `https://${isIPv6(host) ? `[${host}]` : host}:${port}`,
      caFile: `${directory}/ca.crt`,
      skipTLSVerify: false,
    },
    { name: "service account", authProvider: tokenFileProvider(`${directory}/token`) },
  );
}

function serverOf(config: KubeConfig): URL {
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error("it has no current context with a cluster");
  if (!config.getCurrentUser()) throw new Error("its current context has no user");
  if (cluster.proxyUrl) throw new Error("proxy-url isn't supported");
  const server = new URL(cluster.server);
  if (server.protocol !== "https:") throw new Error(`server ${cluster.server} isn't https`);
  return server;
}

type TlsOptions = Pick<RequestOptions, "ca" | "cert" | "key" | "servername" | "rejectUnauthorized">;

function tlsOf({ ca, cert, key, servername, rejectUnauthorized }: RequestOptions): TlsOptions {
  return Object.fromEntries(
    Object.entries({
      ca: pemOf(ca),
      cert: pemOf(cert),
      key: pemOf(key),
      servername,
      rejectUnauthorized,
    }).filter(([, value]) => value !== undefined),
  );
}

/** The package gives text or bytes; the types allow more. */
function pemOf(value: unknown): string | undefined {
  return typeof value === "string" || Buffer.isBuffer(value) ? value.toString() : undefined;
}

function headersOf({ headers, auth }: RequestOptions): Record<string, string> {
  const own: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) {
    const text = String(value).trim();
    // What can't stand in a header would be quoted in Node's own error, and with it the secret.
    if (!/^[\x20-\x7e]+$/.test(text))
      throw new Error(`${name.toLowerCase()} has characters no header may have`);
    own[name] = text;
  }
  if (auth) own["Authorization"] = `Basic ${Buffer.from(auth).toString("base64")}`;
  if (/^Bearer$/.test(own["Authorization"] ?? "")) throw new Error("the token is empty");
  return own;
}

/** What is under way on its connections ends in peace; none of them is used again. */
function retire(agent: Agent): void {
  agent.maxFreeSockets = 0;
  for (const sockets of Object.values(agent.freeSockets))
    for (const socket of sockets ?? []) socket.destroy();
}
