import type { PodLife } from "../attachments/core.ts";
import { podKeyOf } from "../domain/pod.ts";
import type { PodRef } from "../domain/target.ts";
import type { PodFeed } from "../kube/contract.ts";

/** What the API server says of a pod of this node, as its feed tells. */
export function podLife({ namespace, name, uid }: PodRef, pods: PodFeed | undefined): PodLife {
  if (!pods?.isSynced()) return "unknown";
  const pod = pods.get(podKeyOf({ namespace, name }));
  if (pod && (uid === undefined || uid === pod.uid || uid === pod.runtimeUid)) {
    return pod.deletionTimestamp === undefined ? "living" : "ending";
  }
  // Deleted by force, it has a sandbox for a while yet. A static pod's UID was never the API server's: without its
  // mirror it is unknown there, and lives on.
  return uid !== undefined && pods.hasLeft(uid) ? "ending" : "gone";
}
