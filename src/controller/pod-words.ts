import type { Pod } from "../domain/pod.ts";
import type { Target } from "../domain/target.ts";

/** The pod as a target: the runtime knows a static pod's mirror by another UID than the API server. */
export function targetOf({ namespace, name, runtimeUid }: Pod): Target {
  return { kind: "pod", pod: { namespace, name, uid: runtimeUid } };
}

/** KubeVirt renames links and puts others under their names, and reads meaning into names. */
export function isKubeVirt(pod: Pod): boolean {
  return pod.labels["kubevirt.io"] === "virt-launcher";
}
