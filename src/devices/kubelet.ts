import { PodResourcesLister } from "../../gen/podresources/v1/api_pb.ts";
import { createUnixClient } from "../grpc/unix-client.ts";
import type { DeviceAllocations } from "./contract.ts";

/** As the kubelet's pod-resources API lists them (k8s.io/kubelet/pkg/apis/podresources/v1), asked anew each time. */
export function createKubeletDevices(options: {
  readonly socketPath: string;
  readonly deadlineMs?: number;
}): DeviceAllocations & Disposable {
  const { socketPath, deadlineMs = 10_000 } = options;
  const client = createUnixClient({ socketPath, peer: "the kubelet", deadlineMs });
  return {
    async of({ namespace, name }, signal) {
      const { podResources } = await client.call(PodResourcesLister.method.list, {}, signal);
      const pods = podResources.filter((pod) => pod.namespace === namespace && pod.name === name);
      const devices = pods.flatMap(({ containers }) => containers.flatMap((container) => container.devices));
      return new Set(devices.flatMap(({ deviceIds }) => deviceIds));
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}
