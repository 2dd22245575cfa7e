import { PodplugError } from "../domain/errors.ts";
import { describeTarget, type PodRef } from "../domain/target.ts";
import type { ListedSandbox } from "./runtime.ts";

/**
 * The pod's present sandbox among all that the runtime has under its name: the
 * newest that is ready. Failures: TARGET_NOT_FOUND, UID_MISMATCH,
 * SANDBOX_NOT_READY.
 *
 * The API's UID of a static pod (its mirror pod's) is unknown to the runtime,
 * which has the UID that kubelet made of the pod's configuration. Mirror pods
 * show that one in the annotation `kubernetes.io/config.hash`: whoever asks
 * for a mirror pod with a UID gives this one.
 */
export function choosePodSandbox(found: readonly ListedSandbox[], pod: PodRef): ListedSandbox {
  const what = describeTarget({ kind: "pod", pod });
  if (found.length === 0) throw new PodplugError("TARGET_NOT_FOUND", `no ${what} on this node`);
  const { uid } = pod;
  const own = uid === undefined ? found : found.filter((sandbox) => sandbox.pod?.uid === uid);
  if (own.length === 0) {
    const uids = [...new Set(found.map((sandbox) => sandbox.pod?.uid ?? ""))].join(", ");
    throw new PodplugError("UID_MISMATCH", `${what} has UID ${uids} on this node, not ${uid}`);
  }
  const chosen = newest(own.filter(({ ready }) => ready));
  if (!chosen) throw new PodplugError("SANDBOX_NOT_READY", `${what} has no sandbox that is ready`);
  return chosen;
}

/** One sandbox a pod, each pod's newest; those that belong to no pod all. */
export function newestOfEachPod(sandboxes: readonly ListedSandbox[]): readonly ListedSandbox[] {
  const byPod = Map.groupBy(sandboxes, ({ id, pod }) =>
    pod ? `${pod.namespace}/${pod.name}/${pod.uid}` : id,
  );
  return [...byPod.values()].map(newest).filter((sandbox) => sandbox !== undefined);
}

function newest(sandboxes: readonly ListedSandbox[]): ListedSandbox | undefined {
  return sandboxes.reduce<ListedSandbox | undefined>(
    (best, each) => (best && best.createdAt >= each.createdAt ? best : each),
    undefined,
  );
}
