export interface PodRef {
  readonly namespace: string;
  readonly name: string;
  /** When given, a running pod with another UID is refused. A mirror pod is asked for with its `kubernetes.io/config.hash`. */
  readonly uid?: string | undefined;
}

/** What to plug into. */
export type Target =
  | { readonly kind: "pod"; readonly pod: PodRef }
  | { readonly kind: "container"; readonly containerId: string }
  | { readonly kind: "netns"; readonly netns: string };

/** For messages and logs: `pod demo/web`, `container 4f…`, `namespace /run/netns/a`. */
export function describeTarget(target: Target): string {
  switch (target.kind) {
    case "pod":
      return `pod ${target.pod.namespace}/${target.pod.name}`;
    case "container":
      return `container ${target.containerId}`;
    case "netns":
      return `namespace ${target.netns}`;
  }
}
