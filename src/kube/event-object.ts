import { randomBytes } from "node:crypto";
import type { Pod } from "../domain/pod.ts";
import type { PodEventFacts } from "./contract.ts";

/** The API server refuses a longer message. */
const maxMessageBytes = 1024;

/** One event of one pod, and how often it happened. */
export interface Occurrences {
  readonly pod: Pick<Pod, "namespace" | "name" | "uid">;
  readonly facts: PodEventFacts;
  /** The event object's own name. */
  readonly name: string;
  readonly first: Date;
  last: Date;
  count: number;
}

export function eventNameFor(podName: string): string {
  // A name has 253 characters at most, and no dot beside a dot or a dash.
  return `${podName.slice(0, 230).replace(/[^a-z0-9]+$/, "")}.${randomBytes(8).toString("hex")}`;
}

export function withBoundedMessage(facts: PodEventFacts): PodEventFacts {
  const bytes = Buffer.from(facts.message);
  if (bytes.length <= maxMessageBytes) return facts;
  const ellipsis = "…";
  let end = maxMessageBytes - Buffer.byteLength(ellipsis);
  // Never in the middle of a character.
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return { ...facts, message: `${bytes.subarray(0, end).toString()}${ellipsis}` };
}

/** As a core/v1 Event. */
export function eventObject(one: Occurrences, nodeName: string): object {
  const { pod, facts, name, first, last, count } = one;
  return {
    apiVersion: "v1",
    kind: "Event",
    metadata: { namespace: pod.namespace, name },
    involvedObject: { apiVersion: "v1", kind: "Pod", namespace: pod.namespace, name: pod.name, uid: pod.uid },
    type: facts.type,
    reason: facts.reason,
    message: facts.message,
    count,
    firstTimestamp: seconds(first),
    lastTimestamp: seconds(last),
    source: { component: "podplug", host: nodeName },
    reportingComponent: "podplug",
    reportingInstance: nodeName,
  };
}

/** What changes of an event that happened again. */
export function eventPatch({ last, count }: Occurrences): object {
  return { count, lastTimestamp: seconds(last) };
}

/** metav1.Time has no fractions. */
function seconds(date: Date): string {
  return `${date.toISOString().slice(0, 19)}Z`;
}
