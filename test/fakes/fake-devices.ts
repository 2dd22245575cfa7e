import type { DeviceAllocations } from "../../src/devices/contract.ts";
import type { PodplugError } from "../../src/domain/errors.ts";
import { abortError } from "../../src/domain/signals.ts";

/** A kubelet's allocations in memory. */
export interface FakeDevices extends DeviceAllocations {
  allocate(pod: string, ...deviceIds: readonly string[]): void;
  failWith(error: PodplugError | undefined): void;
}

export function createFakeDevices(): FakeDevices {
  const allocated = new Map<string, ReadonlySet<string>>();
  let failure: PodplugError | undefined;
  return {
    async of({ namespace, name }, signal) {
      if (signal.aborted) throw abortError(signal, "asking for devices");
      if (failure) throw failure;
      return allocated.get(`${namespace}/${name}`) ?? new Set();
    },
    allocate(pod, ...deviceIds) {
      allocated.set(pod, new Set([...(allocated.get(pod) ?? []), ...deviceIds]));
    },
    failWith(error) {
      failure = error;
    },
  };
}
