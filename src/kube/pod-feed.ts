import type { Clock } from "../domain/clock.ts";
import type { Logger } from "../domain/log.ts";
import { podKeyOf } from "../domain/pod.ts";
import { silentTelemetry, type Telemetry } from "../domain/telemetry.ts";
import type { ApiClient } from "./api-client.ts";
import type { PodFeed } from "./contract.ts";
import { listAndWatch } from "./list-watch.ts";
import { podFrom } from "./metadata.ts";
import type { OwnWrites } from "./own-writes.ts";
import { createPodStore } from "./pod-store.ts";

export interface PodFeedOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  /** The annotations that pods are kept with; others, which may be large, are dropped. */
  readonly annotations: Iterable<string>;
  /** Changes that aren't told. */
  readonly ownWrites: OwnWrites;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
  readonly telemetry?: Telemetry | undefined;
}

/** Follows the node's pods until it is disposed of. */
export function startPodFeed({
  client,
  nodeName,
  annotations,
  ownWrites,
  clock,
  log,
  random = Math.random,
  telemetry = silentTelemetry,
}: PodFeedOptions): PodFeed & AsyncDisposable {
  const kept = new Set(annotations);
  const store = createPodStore((before, pod) => !ownWrites.isEcho(before, pod));
  const stopped = new AbortController();
  const following = listAndWatch(
    {
      client,
      path: "/api/v1/pods",
      // A pod that finishes leaves the selection: the watch says that it is gone.
      fieldSelector: `spec.nodeName=${nodeName},status.phase!=Succeeded,status.phase!=Failed`,
      what: "this node's pods",
      onList: (objects) => store.replaceAll(objects.map((object) => podFrom(object, kept))),
      onObject: (object) => store.put(podFrom(object, kept)),
      onGone: (object) => {
        const pod = podFrom(object, kept);
        ownWrites.forget(pod.uid);
        store.remove(podKeyOf(pod));
      },
      clock,
      log,
      random,
      onRestart: (cause) => telemetry.count({ kind: "watch-restart", resource: "pods", cause }),
    },
    stopped.signal,
  );
  return {
    get: store.get,
    keys: store.keys,
    hasLeft: store.hasLeft,
    isSynced: store.isSynced,
    watch: store.watch,
    async [Symbol.asyncDispose]() {
      stopped.abort();
      store.close();
      await following;
    },
  };
}
