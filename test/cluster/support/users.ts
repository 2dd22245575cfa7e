import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Cluster, run } from "./cluster.ts";

const pki = "/run/podplug-cluster/pki";

/** A kubeconfig of a user by name, with a certificate of the cluster's own authority; what they may do, RBAC says. */
export async function userKubeconfig(cluster: Cluster, name: string, namespace: string): Promise<string> {
  const folder = await cluster.makeFolder();
  const at = (file: string): string => join(folder, file);
  const request = ["req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-config", `${pki}/openssl.cnf`, "-subj", `/CN=${name}`];
  await run("openssl", [...request, ...names, "-keyout", at("user.key"), "-out", at("user.csr")]);
  const authority = ["-CA", `${pki}/ca.crt`, "-CAkey", `${pki}/ca.key`];
  await run("openssl", [
    "x509",
    "-req",
    "-days",
    "1",
    ...authority,
    "-in",
    at("user.csr"),
    "-out",
    at("user.crt"),
  ]);
  const user = { "client-certificate": at("user.crt"), "client-key": at("user.key") };
  return await writeKubeconfig(cluster, folder, user, namespace);
}

/** The same with a bearer token in place of a certificate. */
export async function tokenKubeconfig(cluster: Cluster, token: string, namespace: string): Promise<string> {
  return await writeKubeconfig(cluster, await cluster.makeFolder(), { token }, namespace);
}

async function writeKubeconfig(
  { apiServer }: Cluster,
  folder: string,
  user: object,
  namespace: string,
): Promise<string> {
  const path = join(folder, "kubeconfig");
  const kubeconfig = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      { name: "cluster", cluster: { server: apiServer.url, "certificate-authority": apiServer.caPath } },
    ],
    users: [{ name: "user", user }],
    contexts: [{ name: "cluster", context: { cluster: "cluster", user: "user", namespace } }],
    "current-context": "cluster",
  };
  await writeFile(path, JSON.stringify(kubeconfig), { mode: 0o600 });
  return path;
}
