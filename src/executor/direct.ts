import type { Cni, NetworkAttachment } from "../cni/cni.ts";
import { type NetworkList, printNetworkList, readNetworkList } from "../cni/network-list.ts";
import { requireDeclared } from "../cni/request.ts";
import { cniVersions, oldestVersion } from "../cni/versions.ts";
import { PodplugError } from "../domain/errors.ts";
import { capabilityArgsOf } from "./capability-args.ts";
import type { CniAttachment, Executor } from "./contract.ts";
import { withSelected } from "./selected-network.ts";

export interface DirectExecutorOptions {
  readonly cni: Cni;
}

/** Runs CNI plugins itself: no other daemon is needed on the node. */
export function createDirectExecutor({ cni }: DirectExecutorOptions): Executor {
  return {
    name: "direct",
    cniVersions,

    async prepare(definition, selection, { deep }, signal) {
      const capabilityArgs = capabilityArgsOf(selection);
      const written = readNetworkList(definition.config, { source: `network ${definition.displayName}` });
      const network = withSelected(written, selection);
      // Every plugin has the device in its configuration, so none needs to declare it.
      const { deviceID: _deviceId, ...mustBeDeclared } = capabilityArgs;
      requireDeclared(network, mustBeDeclared);
      cni.requirePlugins(network);
      if (deep) {
        await requireVersion(cni, network, signal);
        await cni.status(network, signal);
      }
      return { networkName: network.name, config: printNetworkList(network), capabilityArgs };
    },

    async add(attachment, signal) {
      return cni.add(recorded(attachment), signal);
    },
    async del(attachment, result, signal) {
      await cni.del(recorded(attachment), result, signal);
    },
    async check(attachment, result, signal) {
      await cni.check(recorded(attachment), result, signal);
    },
    async gc(config, valid, signal) {
      await cni.gc(readNetworkList(config, { source: "recorded network" }), valid, signal);
    },
  };
}

function recorded({ config, networkName, ...attachment }: CniAttachment): NetworkAttachment {
  return { ...attachment, network: readNetworkList(config, { source: `recorded network ${networkName}` }) };
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
