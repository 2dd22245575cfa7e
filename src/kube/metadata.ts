import { PodplugError } from "../domain/errors.ts";
import { isJsonObject } from "../domain/json.ts";
import type { Pod } from "../domain/pod.ts";

/**
 * Set by kubelet on the API's copy of a static pod: the hash of its
 * configuration, which is the UID that the pod runs under
 * (k8s.io/kubernetes/pkg/kubelet/types, ConfigMirrorAnnotationKey).
 */
const mirrorAnnotation = "kubernetes.io/config.mirror";

/** Metadata of a Pod or a PartialObjectMetadata as ours, with these annotations alone. INTERNAL for anything else. */
export function podFrom(object: unknown, keptAnnotations: ReadonlySet<string> | "all"): Pod {
  const metadata = metadataOf(object);
  const { namespace, name, uid, deletionTimestamp } = metadata;
  const resourceVersion = resourceVersionOf(object);
  if (typeof namespace !== "string" || typeof name !== "string" || typeof uid !== "string") {
    throw unreadable("it lacks a namespace, a name or a UID");
  }
  const annotations = stringsOf(metadata["annotations"]);
  const kept = Object.entries(annotations).filter(
    ([key]) => keptAnnotations === "all" || keptAnnotations.has(key),
  );
  return {
    namespace,
    name,
    uid,
    runtimeUid: annotations[mirrorAnnotation] || uid,
    labels: stringsOf(metadata["labels"]),
    annotations: Object.fromEntries(kept),
    deletionTimestamp: typeof deletionTimestamp === "string" ? new Date(deletionTimestamp) : undefined,
    resourceVersion,
  };
}

/** Of an object or a list. */
export function resourceVersionOf(object: unknown): string {
  const { resourceVersion } = metadataOf(object);
  if (typeof resourceVersion !== "string" || resourceVersion === "") throw unreadable("it lacks a version");
  return resourceVersion;
}

export function metadataOf(object: unknown): Readonly<Record<string, unknown>> {
  const metadata = isJsonObject(object) ? object["metadata"] : undefined;
  if (!isJsonObject(metadata)) throw unreadable("it has no metadata");
  return metadata;
}

export function stringsOf(value: unknown): Readonly<Record<string, string>> {
  if (!isJsonObject(value)) return {};
  const entries = Object.entries(value);
  return Object.fromEntries(
    entries.filter((entry): entry is [string, string] => typeof entry[1] === "string"),
  );
}

function unreadable(why: string): PodplugError {
  return new PodplugError("INTERNAL", `the API server's answer can't be read: ${why}`);
}
