import type { Clock } from "../domain/clock.ts";
import { asPodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { NodeApi } from "../domain/node-api.ts";
import type { Pod, PodKey } from "../domain/pod.ts";
import type { EventRecorder, PodFeed, PodStatusWriter } from "../kube/contract.ts";
import { networkStatusAnnotation } from "../kube/contract.ts";
import { withDeadline } from "./deadline.ts";
import { type Outcome, outcomeOf } from "./key-queue.ts";
import type { KnownAttachments } from "./known-attachments.ts";
import type { PodLooks } from "./pod-looks.ts";
import { isKubeVirt, targetOf } from "./pod-words.ts";
import { nextStatus } from "./status.ts";
import { interfaceOf, isDefault, readStatus } from "./status-entries.ts";

export interface PublisherOptions {
  readonly api: NodeApi;
  readonly pods: PodFeed;
  readonly status: PodStatusWriter;
  readonly events: EventRecorder;
  readonly known: KnownAttachments;
  readonly looks: PodLooks;
  readonly defaultNetworkName: string | undefined;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** How often others may get in between before it is left to the backoff. */
const maxConflicts = 5;

/** What this process knows of a pod's annotation beyond what the feed says. */
interface Memory {
  readonly uid: string;
  /** The pod as a write answered it, newer than the feed's pod of this version. */
  answered?: { readonly feedVersion: string; readonly pod: Pod } | undefined;
  /** The annotation when it was last right, and of which sandbox. */
  right?: { readonly text: string | undefined; readonly sandboxId: string } | undefined;
}

/** Brings a pod's network-status to what is in the pod; returns whether to try again. */
export function createPublisher(options: PublisherOptions) {
  const { api, pods, status, events, known, looks, clock, timeoutMs, log } = options;
  const memories = new Map<PodKey, Memory>();

  return async function publish(key: PodKey, signal: AbortSignal): Promise<Outcome> {
    const pod = pods.get(key);
    let seen = looks.take(key);
    if (!pod || pod.deletionTimestamp) {
      memories.delete(key);
      known.forgetLeft(key);
      return "done";
    }
    const memory = memoryOf(key, pod);
    let text = newest(pod, memory).annotations[networkStatusAnnotation];
    if (!known.has(key) && namesOf(text).length === 0) {
      known.forgetLeft(key);
      return "done";
    }
    try {
      for (let round = 0; round < maxConflicts; round += 1) {
        // Before the look: what comes meanwhile would pass for one that had gone.
        const names = known.namesOf(key);
        const ownOf = (id: string): readonly string[] => [...(names.get(id) ?? [])];
        const interfaces = seen ?? (await call(signal, (each) => api.list({ target: targetOf(pod) }, each)));
        seen = undefined;
        const sandboxId = interfaces[0]?.sandboxId ?? "";
        const next = nextStatus({
          text,
          interfaces,
          isKubeVirt: isKubeVirt(pod),
          defaultNetworkName: options.defaultNetworkName,
          own: new Set([...ownOf(sandboxId), ...ownOf(sandboxOf(text, memory) ?? sandboxId)]),
        });
        const rememberRight = (now: string | undefined): void => {
          memory.right = { text: now, sandboxId };
          known.statusHas(key, sandboxId, namesOf(now));
        };
        if (next.kind === "unchanged") {
          rememberRight(text);
          return "done";
        }
        const write = { pod, before: text, text: next.text };
        const answer = await call(signal, (each) => status.write(write, each));
        if (answer.kind === "gone") return "done";
        memory.answered = { feedVersion: pod.resourceVersion, pod: answer.pod };
        text = answer.pod.annotations[networkStatusAnnotation];
        if (answer.kind === "conflict") continue;
        rememberRight(next.text);
        log.debug({ pod: key }, "network-status written");
        if (next.fault !== undefined) tellReplaced(pod, next.fault, write.before);
        return "done";
      }
      return "soon";
    } catch (thrown) {
      if (signal.aborted) return "done";
      const error = asPodplugError(thrown);
      log.warn({ pod: key, reason: error.reason, err: error }, "network-status could not be written");
      return outcomeOf(error);
    }
  };

  function memoryOf(key: PodKey, { uid }: Pod): Memory {
    const memory = memories.get(key);
    if (memory?.uid === uid) return memory;
    const fresh: Memory = { uid };
    memories.set(key, fresh);
    return fresh;
  }

  async function call<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await withDeadline({ clock, timeoutMs, signal }, work);
  }

  /** What was there is told once more, as it is gone then. */
  function tellReplaced(pod: Pod, fault: string, before: string | undefined): void {
    const message = `annotation ${networkStatusAnnotation} couldn't be read (${fault}) and was written anew; it was: ${before}`;
    events.record(pod, { type: "Warning", reason: "NetworkStatusReplaced", message });
    log.warn({ pod: `${pod.namespace}/${pod.name}`, fault, before }, "unreadable network-status replaced");
  }
}

function newest(pod: Pod, { answered }: Memory): Pod {
  return answered?.feedVersion === pod.resourceVersion ? answered.pod : pod;
}

/** The sandbox of which the text tells, an earlier one perhaps: known unless somebody else wrote it since. */
function sandboxOf(text: string | undefined, { right }: Memory): string | undefined {
  return right?.text === text ? right?.sandboxId : undefined;
}

/** Of every network but the default one. */
function namesOf(text: string | undefined): readonly string[] {
  const read = readStatus(text);
  if (read.kind === "malformed") return [];
  return read.entries.filter((entry) => !isDefault(entry)).map(interfaceOf);
}
