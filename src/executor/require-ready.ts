import type { Cni } from "../cni/cni.ts";
import type { NetworkList } from "../cni/network-list.ts";
import { oldestVersion } from "../cni/versions.ts";
import { PodplugError } from "../domain/errors.ts";

/** Asks a network's plugins whether they could serve it (VERSION, STATUS); changes nothing. */
export async function requireReady(cni: Cni, network: NetworkList, signal: AbortSignal): Promise<void> {
  await requireVersion(cni, network, signal);
  await cni.status(network, signal);
}

async function requireVersion(cni: Cni, network: NetworkList, signal: AbortSignal): Promise<void> {
  for (const type of new Set(network.plugins.map((plugin) => plugin.type))) {
    const versions = await cni.pluginVersions(type, signal).catch((error: unknown) => {
      // The first version had no VERSION; a plugin of that time answers with an error.
      const isOld = error instanceof PodplugError && error.reason === "PLUGIN_FAILED";
      if (isOld && network.cniVersion === oldestVersion) return [oldestVersion];
      throw error;
    });
    if (versions.includes(network.cniVersion)) continue;
    const message = `plugin ${type} doesn't speak CNI ${network.cniVersion} of network ${network.name}, only ${versions.join(", ")}`;
    throw new PodplugError("VERSION_UNSUPPORTED", message, { plugin: type });
  }
}
