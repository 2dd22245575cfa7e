import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";
import { isJsonObject } from "../domain/json.ts";

export interface KubeconfigFiles {
  readonly path: string;
  /** More of them, as in kubectl's KUBECONFIG: what an earlier one says holds. */
  readonly others?: readonly string[] | undefined;
  /** In place of the current one. */
  readonly context?: string | undefined;
}

/** What is used of the package, which is loaded only by those who need it. */
interface Kubernetes {
  readonly KubeConfig: new () => KubeConfig;
  loadYaml(text: string): unknown;
}

/** Throws whatever is wrong with a file, and for a context that none has. */
export async function loadKubeconfig(
  { path, others = [], context }: KubeconfigFiles,
  kubernetes: Kubernetes,
): Promise<KubeConfig> {
  const config = await loadFile(path, kubernetes);
  for (const other of others) addMissing(config, await loadFile(other, kubernetes));
  if (context === undefined) return config;
  if (!config.getContextObject(context)) throw new Error(`it has no context ${JSON.stringify(context)}`);
  config.setCurrentContext(context);
  return config;
}

async function loadFile(path: string, { KubeConfig: Config, loadYaml }: Kubernetes): Promise<KubeConfig> {
  const text = await readFile(path, "utf8");
  const config = new Config();
  config.loadFromString(text);
  config.makePathsAbsolute(dirname(path));
  // The package knows `token-file` alone, and reads it once; Kubernetes calls the key `tokenFile`.
  const tokenFiles = tokenFilesIn(loadYaml(text));
  config.users = config.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name);
    return tokenFile === undefined
      ? user
      : { name: user.name, authProvider: tokenFileProvider(resolve(dirname(path), tokenFile)) };
  });
  return config;
}

function tokenFilesIn(content: unknown): ReadonlyMap<string, string> {
  const users: unknown = isJsonObject(content) ? content["users"] : undefined;
  const entries = (Array.isArray(users) ? (users as unknown[]) : []).filter(isJsonObject);
  return new Map(
    entries.flatMap(({ name, user }): [string, string][] => {
      const tokenFile = isJsonObject(user) ? (user["tokenFile"] ?? user["token-file"]) : undefined;
      return typeof name === "string" && typeof tokenFile === "string" && tokenFile !== ""
        ? [[name, tokenFile]]
        : [];
    }),
  );
}

export function tokenFileProvider(tokenFile: string): { readonly name: string; readonly config: object } {
  return { name: "tokenFile", config: { tokenFile } };
}

function addMissing(config: KubeConfig, more: KubeConfig): void {
  const missing = <T extends { readonly name: string }>(known: readonly T[], others: readonly T[]): T[] => [
    ...known,
    ...others.filter(({ name }) => !known.some((one) => one.name === name)),
  ];
  config.clusters = missing(config.clusters, more.clusters);
  config.users = missing(config.users, more.users);
  config.contexts = missing(config.contexts, more.contexts);
  config.currentContext ||= more.currentContext;
}
