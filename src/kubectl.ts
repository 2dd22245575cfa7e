import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import process from "node:process";
import type { ClusterFlags } from "./client/cli/options/cluster.ts";
import { systemClock } from "./domain/clock.ts";
import type { KubeLocation } from "./kube/access.ts";
import { openCluster } from "./kube/cluster.ts";
import type { AnnotatedCluster } from "./kube/cluster-contract.ts";
import { createPodNetworks } from "./kube/pod-networks.ts";

/** The cluster that kubectl itself would speak to, as the same user. */
export async function openUsersCluster({ kubeconfig, context }: ClusterFlags): Promise<AnnotatedCluster> {
  const cluster = await openCluster(locationOf(kubeconfig, context), systemClock);
  return { ...cluster, networks: createPodNetworks(cluster) };
}

/** `--kubeconfig`, then the files of KUBECONFIG, then the user's own; where there is none, the pod's account. */
function locationOf(kubeconfig: string | undefined, context: string | undefined): KubeLocation {
  if (kubeconfig !== undefined) return { kind: "kubeconfig", path: kubeconfig, context };
  const usual = join(homedir(), ".kube/config");
  const { KUBECONFIG: listed, KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env;
  const files = (listed ?? "").split(delimiter).filter((file) => file !== "");
  // kubectl passes over those of a list that aren't there.
  const [path = files[0] ?? usual, ...others] = files.filter((file) => existsSync(file));
  if (path === usual && !existsSync(usual) && host && port) return { kind: "in-cluster", host, port };
  return { kind: "kubeconfig", path, others, context };
}
