/** A pod as far as podplug looks at it: its metadata. What runs in it, the runtime says. */
export interface Pod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /**
   * The UID that the node's runtime knows the pod by. It is `uid`, but for the
   * mirror of a static pod, which kubelet runs under its configuration's hash
   * (annotation `kubernetes.io/config.mirror`).
   */
  readonly runtimeUid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** When it is to be gone; absent for a pod that nobody deleted. */
  readonly deletionTimestamp?: Date | undefined;
  readonly resourceVersion: string;
}

/** `namespace/name`: names a pod on its node at one time; a later pod of the same name has another UID. */
export type PodKey = string;

export function podKeyOf({ namespace, name }: Pick<Pod, "namespace" | "name">): PodKey {
  return `${namespace}/${name}`;
}
