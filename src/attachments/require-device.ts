import type { DeviceAllocations } from "../devices/contract.ts";
import type { Caller } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { PodRef } from "../domain/target.ts";

/**
 * A device belongs to the pod that the kubelet gave it to: whoever asks, only
 * the node's own root may move another one. DEVICE_NOT_ALLOCATED.
 */
export async function requireDevice(
  devices: DeviceAllocations,
  request: {
    readonly caller: Caller;
    readonly selection: NetworkSelection;
    readonly pod: PodRef | undefined;
  },
  signal: AbortSignal,
): Promise<void> {
  const { caller, selection, pod } = request;
  const { deviceId } = selection;
  if (deviceId === undefined || caller.root) return;
  const allocated = pod && (await devices.of(pod, signal));
  if (allocated?.has(deviceId)) return;
  const whose = pod ? `pod ${pod.namespace}/${pod.name}` : "a namespace that is no pod's";
  throw new PodplugError(
    "DEVICE_NOT_ALLOCATED",
    `device ${deviceId} isn't one that the kubelet gave to ${whose}`,
  );
}
