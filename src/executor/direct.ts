import type { Cni, NetworkAttachment } from "../cni/cni.ts";
import { printNetworkList, readNetworkList } from "../cni/network-list.ts";
import { requireDeclared } from "../cni/request.ts";
import { cniVersions } from "../cni/versions.ts";
import { capabilityArgsOf } from "./capability-args.ts";
import type { CniAttachment, Executor } from "./contract.ts";
import { requireReady } from "./require-ready.ts";
import { withSelected } from "./selected-network.ts";

export interface DirectExecutorOptions {
  readonly cni: Cni;
}

/** Runs CNI plugins itself: no other daemon is needed on the node. */
export function createDirectExecutor({ cni }: DirectExecutorOptions): Executor {
  return {
    name: "direct",
    daemons: [],
    cniVersions,

    async prepare(definition, selection, { deep, attachment }, signal) {
      const capabilityArgs = capabilityArgsOf(selection);
      const written = readNetworkList(definition.config, { source: `network ${definition.displayName}` });
      const network = withSelected(written, selection);
      // Every plugin has the device in its configuration, so none needs to declare it.
      const { deviceID: _deviceId, ...mustBeDeclared } = capabilityArgs;
      requireDeclared(network, mustBeDeclared);
      cni.requirePlugins(network);
      if (deep) await requireReady(cni, network, signal);
      const cniArgs = attachment?.cniArgs ?? [];
      return { networkName: network.name, config: printNetworkList(network), capabilityArgs, cniArgs };
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
