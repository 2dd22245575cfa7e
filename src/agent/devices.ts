import type { Config } from "../config.ts";
import type { DeviceAllocations } from "../devices/contract.ts";

/** The kubelet's allocations; what speaks to it is loaded once somebody names a device. */
export function createDevices({
  podResourcesSocketPath: socketPath,
}: Config): DeviceAllocations & AsyncDisposable {
  let kubelet: Promise<DeviceAllocations & Disposable> | undefined;

  async function connect(): Promise<DeviceAllocations & Disposable> {
    const { createKubeletDevices } = await import("../devices/kubelet.ts");
    return createKubeletDevices({ socketPath });
  }

  return {
    async of(pod, signal) {
      kubelet ??= connect();
      return await (await kubelet).of(pod, signal);
    },
    async [Symbol.asyncDispose]() {
      (await kubelet)?.[Symbol.dispose]();
    },
  };
}
