import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Cluster, run } from "./cluster.ts";

/** Of the tree. */
export const kustomizations = join(import.meta.dirname, "../../../deploy/kubernetes");

/**
 * What `kubectl apply -k` would send, of a folder below deploy/kubernetes with
 * components beside it, and one more file of the agent's configuration.
 */
export async function renderKustomization(
  cluster: Cluster,
  folder: string,
  components: readonly string[] = [],
  configuration?: object,
): Promise<string> {
  return await render(cluster, [folder], components, configuration);
}

/** The same of components alone, of those that change nothing of a base. */
export async function renderComponents(cluster: Cluster, components: readonly string[]): Promise<string> {
  return await render(cluster, [], components);
}

async function render(
  cluster: Cluster,
  resources: readonly string[],
  components: readonly string[],
  configuration?: object,
): Promise<string> {
  const own = await cluster.makeFolder();
  await writeFile(join(own, "90-node.yaml"), JSON.stringify(configuration ?? {}));
  await writeFile(
    join(own, "kustomization.yaml"),
    JSON.stringify({
      resources: resources.map((folder) => relativeTo(own, folder)),
      components: components.map((name) => relativeTo(own, `components/${name}`)),
      configMapGenerator: configuration && [
        { name: "podplug-agent", namespace: "podplug", behavior: "merge", files: ["90-node.yaml"] },
      ],
    }),
  );
  return await cluster.kubectl("kustomize", own);
}

/** kustomize takes no absolute paths. */
function relativeTo(own: string, folder: string): string {
  const up = own
    .split("/")
    .filter((part) => part !== "")
    .map(() => "..");
  return join(...up, kustomizations, folder);
}

/** Has the API server look at each object as strictly as it can, and keeps none; a line for each. */
export async function dryRun(cluster: Cluster, manifests: string): Promise<readonly string[]> {
  const apply = ["apply", "--dry-run=server", "--validate=strict", "-f", "-"];
  const answer = await run("kubectl", ["--kubeconfig", cluster.kubeconfigPath, ...apply], manifests);
  return answer.trim().split("\n");
}

/** Definitions of the objects of cert-manager, the Prometheus operator and OpenShift, which stay: taking them back takes a minute. */
export async function defineForeignObjects(cluster: Cluster): Promise<void> {
  const folder = "/run/podplug-cluster/crds/";
  // By the server: the largest don't fit into an annotation.
  await cluster.kubectl("apply", "--server-side", "-f", folder);
  await cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", "-f", folder);
}
