import { readFirstNetwork } from "../cni/network-files.ts";
import { neverAborted } from "../domain/signals.ts";
import type { PodagentFlags } from "./podagent-flags.ts";

/** From this level on podagent's log tells each step. */
const steps = 4;

/**
 * The agent's configuration that podagent's flags mean, as JSON text. Who runs
 * the plugins follows from the node's first CNI configuration: kactus, where
 * that is kactus's.
 */
export async function podagentConfig(flags: PodagentFlags): Promise<string> {
  const { kubeconfig, nodeName, runtime, socketPath, cniBinPath, cniConfPath, cniVendorName, verbosity } =
    flags;
  const type = (await readFirstNetwork(cniConfPath, neverAborted))?.plugins[0].type;
  const vendorDirs = cniVendorName
    ? [`/opt/${cniVendorName}/cni/bin`]
    : type === undefined
      ? []
      : [`/opt/${type}/bin`];
  return JSON.stringify({
    nodeName,
    runtime,
    ...(runtime === "cri" ? { criSocketPath: socketPath } : { dockerSocketPath: socketPath }),
    networks: ["kaloom"],
    executor: type === "kactus" ? "kactus" : "direct",
    cni: { binDirs: [...vendorDirs, cniBinPath], confDir: cniConfPath },
    // podagent's manifests mount this folder of the node, and no other that may be written.
    stateDir: "/var/lib/cni/podplug",
    controller: { kubeconfig, annotations: ["kaloom"] },
    log: { level: verbosity >= steps ? "debug" : "info" },
  });
}
