import { type NetworkList, withPlugins } from "../cni/network-list.ts";
import { type PluginConfig, withCniArgs } from "../cni/plugin-config.ts";
import type { NetworkSelection } from "../domain/selection.ts";

/** The network with what the selection writes into its plugins' configurations. */
export function withSelected(network: NetworkList, { cniArgs, deviceId }: NetworkSelection): NetworkList {
  const selected = (plugin: PluginConfig): PluginConfig => {
    const onDevice = deviceId === undefined ? plugin : withDevice(plugin, deviceId);
    return cniArgs === undefined ? onDevice : withCniArgs(onDevice, cniArgs);
  };
  const [first, ...rest] = network.plugins;
  return withPlugins(network, [selected(first), ...rest.map(selected)]);
}

/** Under the two keys that Multus gives it: device plugins' networks read one or the other. */
function withDevice(plugin: PluginConfig, deviceId: string): PluginConfig {
  return { ...plugin, raw: { ...plugin.raw, deviceID: deviceId, pciBusID: deviceId } };
}
