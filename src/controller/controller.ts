import type { Clock } from "../domain/clock.ts";
import { pause } from "../domain/clock.ts";
import { failureOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { InterfaceEvent, NodeApi } from "../domain/node-api.ts";
import type { Pod, PodKey } from "../domain/pod.ts";
import type { Telemetry } from "../domain/telemetry.ts";
import type { EventRecorder, PodFeed, PodStatusWriter } from "../kube/contract.ts";
import { isDrifted } from "./attachments.ts";
import { KeyQueue } from "./key-queue.ts";
import { KnownAttachments, podKeyOfInterface } from "./known-attachments.ts";
import { PodLooks } from "./pod-looks.ts";
import { createPublisher } from "./publish.ts";
import { createReconciler } from "./reconcile.ts";
import type { SelectionSource } from "./source.ts";

export interface ControllerOptions {
  /** The node's API as one of podplug's own reconcilers sees it: the engine's, or a connection to it. */
  readonly api: NodeApi;
  readonly pods: PodFeed;
  readonly status: PodStatusWriter;
  readonly events: EventRecorder;
  /** What asks for networks: a pod's annotations, or what the node was told. */
  readonly sources: readonly SelectionSource[];
  /** What the pod's own network is called in a network-status that nobody else began; none is told without it. */
  readonly defaultNetworkName: string | undefined;
  /** How the node names interfaces that nobody names. */
  readonly ifNaming: "npwg" | "hash";
  /** Whether links that vanished are made again. */
  readonly heals: boolean;
  /** How often every pod with attachments is looked at without a cause. */
  readonly resyncMs: number;
  /** How many pods are worked on at once. Those that wait for a plugin or a runtime count too. */
  readonly maxConcurrent: number;
  /** How long one call of the API may take. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** From 0 to 1, for jitter. */
  readonly random: () => number;
  readonly log: Logger;
  readonly telemetry?: Telemetry | undefined;
}

const firstDelayMs = 250;
const longestDelayMs = 10_000;

/**
 * Plugs what is asked for this node's pods. Level-triggered:
 * whatever happened while it was away, the first look at each pod catches up
 * on. Runs until `stopped` aborts, and resolves when what had begun has ended;
 * neither an API nor an API server that is away ends it.
 */
export async function runController(options: ControllerOptions, stopped: AbortSignal): Promise<void> {
  const { api, pods, sources, clock, random, log } = options;
  const known = new KnownAttachments();
  const looks = new PodLooks();
  const publishing = new KeyQueue({ ...options, name: "publish", work: (key, stop) => publish(key, stop) });
  const publish = createPublisher({ ...options, known, looks });
  const reconcile = createReconciler({ ...options, known, looks, publish: (key) => publishing.add(key) });
  const reconciling = new KeyQueue({ ...options, name: "reconcile", work: reconcile });
  const wishes = new Map<PodKey, string>();
  const ended = new AbortController();
  const signal = AbortSignal.any([stopped, ended.signal]);
  const owners = new Set(sources.map(({ owner }) => owner));

  try {
    await Promise.all([followPods(), followApi(), resync(), ...sources.map(followSource)]);
  } finally {
    ended.abort();
    await Promise.all([reconciling.close(), publishing.close()]);
  }

  async function followPods(): Promise<void> {
    for await (const event of pods.watch(signal)) {
      if (event.kind !== "changed") continue;
      // A pod changes often, by our own status too: what waits for a plugin goes on waiting.
      if (!addChanged(event.key)) reconciling.nudge(event.key);
      for (const { concerns } of sources) for (const key of concerns?.(event.key) ?? []) addChanged(key);
    }
  }

  async function followSource({ changes }: SelectionSource): Promise<void> {
    if (!changes) return;
    for await (const _change of changes(signal)) for (const key of pods.keys()) addChanged(key);
  }

  /** Whether something else is asked for than when this was asked last. */
  function addChanged(key: PodKey): boolean {
    const wish = wishOf(pods.get(key), sources);
    if (wishes.get(key) === wish) return false;
    if (wish === undefined) wishes.delete(key);
    else wishes.set(key, wish);
    reconciling.add(key);
    return true;
  }

  /** Nothing is worked on before the API has told what there is: until then, nobody knows which pods to look into. */
  async function followApi(): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      known.restart();
      let cause: "ended" | "failed" = "ended";
      try {
        for await (const event of api.watch({}, signal)) {
          if (event.kind === "synced") attempt = 0;
          heard(event);
        }
      } catch (error) {
        cause = "failed";
        log.warn(
          { err: error, reason: failureOf(error).reason },
          "watching the API failed; it is tried again",
        );
      }
      if (signal.aborted) return;
      options.telemetry?.count({ kind: "watch-restart", resource: "attachments", cause });
      const delayMs = Math.min(firstDelayMs * 2 ** attempt, longestDelayMs);
      await pause(clock, delayMs * (0.5 + random() / 2), signal);
    }
  }

  function heard(event: InterfaceEvent): void {
    const isOwnDoing = known.isExpected(event);
    known.note(event);
    if (isOwnDoing) return;
    if (event.kind === "present") return;
    if (event.kind === "synced") {
      // Noted before anything begins, so that none is looked into twice.
      for (const key of pods.keys()) reconciling.nudge(key);
      reconciling.open();
      publishing.open();
      return;
    }
    const key = podKeyOfInterface(event.interface);
    if (key === undefined) return;
    const isOwn = owners.has(event.interface.owner);
    if (!isOwn || event.kind !== "attached") looks.distrust(key);
    const isDamaged = event.kind === "changed" && isDrifted(event.interface);
    // What a reconciler makes it publishes itself. What goes may have gone behind its back, or make room.
    if (event.kind === "detached" || isDamaged) reconciling.nudge(key);
    else if (!isOwn) publishing.add(key);
  }

  async function resync(): Promise<void> {
    while (!signal.aborted) {
      await pause(clock, options.resyncMs * (0.75 + random() / 4), signal);
      for (const key of known.keys()) reconciling.nudge(key);
    }
  }
}

/** What a pod asks for, as far as a change of it matters at once; undefined when it is gone. */
function wishOf(pod: Pod | undefined, sources: readonly SelectionSource[]): string | undefined {
  if (!pod) return undefined;
  const wishes = sources.map((source) => source.wishOf(pod));
  return JSON.stringify([pod.uid, pod.deletionTimestamp !== undefined, ...wishes]);
}
