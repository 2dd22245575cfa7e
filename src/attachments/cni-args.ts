import type { CniArgs } from "../executor/contract.ts";
import type { Sandbox } from "../sandbox/contract.ts";

/** CNI_ARGS as kubelet and Multus give them; a bare namespace has nothing to say. */
export function cniArgsOf({ id, pod }: Sandbox): CniArgs {
  if (!pod) return [];
  return [
    ["IgnoreUnknown", "true"],
    ["K8S_POD_NAMESPACE", pod.namespace],
    ["K8S_POD_NAME", pod.name],
    ["K8S_POD_INFRA_CONTAINER_ID", id],
    ["K8S_POD_UID", pod.uid ?? ""],
  ];
}
