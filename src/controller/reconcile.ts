import type { Clock } from "../domain/clock.ts";
import { asPodplugError, type PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { NodeApi, PodInterface } from "../domain/node-api.ts";
import { type Pod, type PodKey, podKeyOf } from "../domain/pod.ts";
import type { EventRecorder, PodFeed } from "../kube/contract.ts";
import { networkStatusAnnotation } from "../kube/contract.ts";
import { isDrifted } from "./attachments.ts";
import { withDeadline } from "./deadline.ts";
import { stepsBetween } from "./desired.ts";
import {
  addedEvent,
  addFailedEvent,
  driftedEvent,
  refusedEvent,
  removedEvent,
  removeFailedEvent,
} from "./events.ts";
import { type Outcome, outcomeOf, worse } from "./key-queue.ts";
import type { KnownAttachments } from "./known-attachments.ts";
import type { PodLook, PodLooks } from "./pod-looks.ts";
import { createPodWarnings } from "./pod-warnings.ts";
import { isKubeVirt, targetOf } from "./pod-words.ts";
import { type Asked, refusalsOf, type SelectionSource } from "./source.ts";
import { readStatus } from "./status-entries.ts";
import type { Step } from "./steps.ts";

export interface ReconcilerOptions {
  readonly api: NodeApi;
  readonly pods: PodFeed;
  readonly events: EventRecorder;
  readonly sources: readonly SelectionSource[];
  readonly known: KnownAttachments;
  readonly looks: PodLooks;
  readonly heals: boolean;
  readonly ifNaming: "npwg" | "hash";
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** What is in the pod may have changed, its status may be wrong, or it is gone. */
  readonly publish: (key: PodKey) => void;
}

/**
 * Brings a pod to what is asked for it: reads the world, compares,
 * acts. Every step is tried whatever became of the ones before; what failed is
 * found again by the next look.
 */
export function createReconciler(options: ReconcilerOptions) {
  const { api, pods, events, sources, known, looks, clock, timeoutMs, log, publish } = options;
  const warnings = createPodWarnings({ events, log });

  return async function reconcile(key: PodKey, signal: AbortSignal): Promise<Outcome> {
    const pod = pods.get(key);
    if (!pod || pod.deletionTimestamp) {
      warnings.forget(key);
      publish(key);
      return "done";
    }
    const wanted = sources.map((source) => ({
      source,
      wish: source.wishOf(pod),
      wanted: source.read(pod),
    }));
    for (const each of wanted) tellRefused(key, pod, each.source, each.wanted);
    const asks = wanted.some((each) => each.wanted.kind === "valid" && each.wanted.selections.length > 0);
    let outcome: Outcome = "done";
    if (asks || known.has(key)) {
      const look = looks.begin(key);
      let interfaces: readonly PodInterface[];
      try {
        interfaces = await call(signal, (each) => api.list({ target: targetOf(pod) }, each));
      } catch (thrown) {
        return signal.aborted ? "done" : lookFailed(key, pod, asks, asPodplugError(thrown));
      }
      look.saw(interfaces);
      warnings.tell(key, pod, "target", []);
      tellDrifted(key, pod, interfaces);
      for (const each of wanted) {
        if (each.wanted.kind !== "valid") continue;
        const steps = stepsBetween({
          owner: each.source.owner,
          namesTell: each.source.namesTell,
          podNamespace: pod.namespace,
          wanted: each.wanted.selections,
          interfaces,
          status: statusOf(pod),
          isKubeVirt: isKubeVirt(pod),
          heals: options.heals,
          ifNaming: options.ifNaming,
        });
        outcome = worse(outcome, await carryOut(key, pod, each, steps, look, signal));
      }
    }
    publish(key);
    return outcome;
  };

  async function carryOut(
    key: PodKey,
    pod: Pod,
    { source, wish }: { readonly source: SelectionSource; readonly wish: string },
    steps: readonly Step[],
    look: PodLook,
    signal: AbortSignal,
  ): Promise<Outcome> {
    let outcome: Outcome = "done";
    let lostStays = false;
    for (const [index, step] of steps.entries()) {
      // What is wanted by now is another matter: its change has been queued.
      if (signal.aborted || !isStillWanted(key, pod, source, wish)) return outcome;
      if (lostStays) {
        // This step would put it where the lost one still is.
        lostStays = false;
        continue;
      }
      const failure = await take(pod, source, step, look, signal);
      if (failure !== "done") look.distrust();
      outcome = worse(outcome, failure);
      lostStays = failure !== "done" && step.kind === "detach" && step.why === "lost";
      if (index < steps.length - 1) publish(key);
    }
    return outcome;
  }

  async function take(
    pod: Pod,
    source: SelectionSource,
    step: Step,
    look: PodLook,
    signal: AbortSignal,
  ): Promise<Outcome> {
    switch (step.kind) {
      case "attach":
        return await attach(pod, source, step, look, signal);
      case "adopt":
        look.distrust();
        return await adopt(pod, source, step, signal);
      case "detach":
        return await detach(pod, step, look, signal);
    }
  }

  function isStillWanted(key: PodKey, pod: Pod, source: SelectionSource, wish: string): boolean {
    const now = pods.get(key);
    return (
      now !== undefined &&
      now.uid === pod.uid &&
      now.deletionTimestamp === undefined &&
      source.wishOf(now) === wish
    );
  }

  async function attach(
    pod: Pod,
    { owner }: SelectionSource,
    { network, selection, key, replace }: Step & { kind: "attach" },
    look: PodLook,
    signal: AbortSignal,
  ): Promise<Outcome> {
    try {
      const request = { target: targetOf(pod), network: selection, owner, key, replace };
      const answer = await call(signal, (each) => api.attach(request, each));
      look.attached(answer.interface);
      // Over the wire the event may come after the answer, and the status is written at once.
      known.note({ kind: "attached", interface: answer.interface });
      if (answer.created) events.record(pod, addedEvent(answer.interface));
      return "done";
    } catch (thrown) {
      if (signal.aborted) return "done";
      const error = asPodplugError(thrown);
      if (isPodsAffair(error)) events.record(pod, addFailedEvent(network, selection.interface, error));
      return stepFailed(pod, error, { network, interface: selection.interface }, "attaching failed");
    }
  }

  async function adopt(
    pod: Pod,
    { owner }: SelectionSource,
    { network, selection, key }: Step & { kind: "adopt" },
    signal: AbortSignal,
  ): Promise<Outcome> {
    try {
      const request = { target: targetOf(pod), network: selection, owner, key, adopt: true };
      await call(signal, (each) => api.attach(request, each));
      return "done";
    } catch (thrown) {
      if (signal.aborted) return "done";
      const error = asPodplugError(thrown);
      const facts = { network, interface: selection.interface };
      if (error.reason !== "NOT_ADOPTABLE") return stepFailed(pod, error, facts, "adopting failed");
      // It is there as asked for all the same, and nobody can do anything about the rest.
      log.debug(
        { pod: podKeyOf(pod), ...facts, err: error },
        "what the pod was created with can't be adopted",
      );
      return "done";
    }
  }

  async function detach(
    pod: Pod,
    { attachment, why }: Step & { kind: "detach" },
    look: PodLook,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const { network, name, attachmentId } = attachment;
    known.expectEnd(attachmentId);
    try {
      const request = { target: targetOf(pod), which: { by: "id", attachmentId } } as const;
      const answer = await call(signal, (each) => api.detach(request, each));
      look.detached(attachmentId);
      if (!answer.detached) known.expectNoEnd(attachmentId);
      if (answer.detached && why === "unwanted") events.record(pod, removedEvent(attachment));
      return "done";
    } catch (thrown) {
      known.expectNoEnd(attachmentId);
      if (signal.aborted) return "done";
      const error = asPodplugError(thrown);
      if (isPodsAffair(error)) events.record(pod, removeFailedEvent(attachment, error));
      return stepFailed(pod, error, { network, interface: name }, "detaching failed");
    }
  }

  function stepFailed(
    { namespace, name }: Pod,
    error: PodplugError,
    facts: object,
    message: string,
  ): Outcome {
    // The pod's event tells its affairs, and what a plugin said stands in the log of who ran it.
    const level = isPodsAffair(error) ? "debug" : "warn";
    log[level]({ pod: `${namespace}/${name}`, ...facts, reason: error.reason, err: error }, message);
    // Only what asked for it can cure what is wrong with itself, and its change comes to us.
    return error.kind === "invalid" ? "done" : outcomeOf(error);
  }

  /** The pod may not run yet, or be none that can be plugged into: on the host's network, or its namespace hidden. */
  function lookFailed(key: PodKey, pod: Pod, asks: boolean, error: PodplugError): Outcome {
    const { reason, kind } = error;
    const facts = { pod: key, reason, err: error };
    if (kind === "invalid" || kind === "unsupported") {
      log.debug(facts, "pod can't be plugged into");
      warnings.tell(
        key,
        pod,
        "target",
        asks ? [refusedEvent(`no network is added: ${reason}: ${error.message}`)] : [],
      );
      return "done";
    }
    if (kind === "not-found" || kind === "not-ready") log.debug(facts, "pod can't be looked into now");
    else log.warn(facts, "looking into a pod failed; it is tried again");
    return outcomeOf(error);
  }

  function tellRefused(key: PodKey, pod: Pod, { name }: SelectionSource, asked: Asked): void {
    warnings.tell(key, pod, name, refusalsOf(name, asked).map(refusedEvent));
  }

  /** KubeVirt renames links and takes their addresses: nothing is wrong with those. */
  function tellDrifted(key: PodKey, pod: Pod, interfaces: readonly PodInterface[]): void {
    if (isKubeVirt(pod)) return;
    for (const each of interfaces) {
      if (each.attachmentId === "") continue;
      const drift = isDrifted(each) ? [driftedEvent(each, each.failure?.message ?? "")] : [];
      warnings.tell(key, pod, `drift of ${each.attachmentId}`, drift);
    }
  }

  async function call<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return await withDeadline({ clock, timeoutMs, signal }, work);
  }
}

function statusOf(pod: Pod) {
  const read = readStatus(pod.annotations[networkStatusAnnotation]);
  return read.kind === "entries" ? read.entries : [];
}

/** An agent or API server that is away is the node's affair: a pod's users can do nothing about it. */
function isPodsAffair({ kind }: PodplugError): boolean {
  return kind !== "unavailable" && kind !== "canceled" && kind !== "unauthenticated";
}
