import type { PodRef } from "../domain/target.ts";

/**
 * Which devices belong to whom. Failures: UNREACHABLE when whoever gives them
 * out doesn't answer, and the signal's.
 */
export interface DeviceAllocations {
  /** The IDs of all devices that the pod's containers were given; none for a pod that isn't known. */
  of(pod: Pick<PodRef, "namespace" | "name">, signal: AbortSignal): Promise<ReadonlySet<string>>;
}
