import type { Clock } from "../domain/clock.ts";
import { pause } from "../domain/clock.ts";
import { asPodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { podKeyOf } from "../domain/pod.ts";
import type { ApiClient } from "./api-client.ts";
import { backoffMs } from "./backoff.ts";
import type { EventRecorder } from "./contract.ts";
import { Budgets } from "./event-budget.ts";
import {
  eventNameFor,
  eventObject,
  eventPatch,
  type Occurrences,
  withBoundedMessage,
} from "./event-object.ts";

export interface EventRecorderOptions {
  readonly client: ApiClient;
  readonly nodeName: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
  /** How long the first event of several waits: whoever plugs a pod waits for its status, and nobody for the event. */
  readonly settleMs?: number;
}

/** Different events of one pod: so many at once, then one each half minute. */
const podShare = { burst: 25, refillMs: 30_000 };
/** Writes of the whole node. */
const nodeShare = { burst: 100, refillMs: 200 };
/** How often one event that goes on happening is written again. */
const repeatMs = 60_000;
const maxKnown = 1_000;
const maxWaiting = 500;
const maxTries = 5;
/** How long the last events get when the agent stops. */
const flushMs = 2_000;

interface Known extends Occurrences {
  name: string;
  /** The event object is there. */
  created: boolean;
  waiting: boolean;
  /** Until when a repetition isn't written. */
  quietUntil: number;
  timer?: Disposable | undefined;
}

export function createEventRecorder({
  client,
  nodeName,
  clock,
  log,
  random = Math.random,
  settleMs = 500,
}: EventRecorderOptions): EventRecorder & AsyncDisposable {
  const known = new Map<string, Known>();
  const waiting: Known[] = [];
  const podBudgets = new Budgets(podShare, maxKnown);
  const nodeBudget = new Budgets(nodeShare, 1);
  const stopped = new AbortController();
  const hurry = new AbortController();
  let stopping = false;
  let running: Promise<void> | undefined;

  function remember(fingerprint: string, one: Known): void {
    known.set(fingerprint, one);
    if (known.size <= maxKnown) return;
    const [oldest] = known;
    if (!oldest) return;
    oldest[1].timer?.[Symbol.dispose]();
    known.delete(oldest[0]);
  }

  function enqueue(one: Known): void {
    if (one.waiting) return;
    const quietMs = one.quietUntil - clock.steadyMs();
    if (quietMs > 0) {
      one.timer ??= clock.setTimer(quietMs, () => {
        one.timer = undefined;
        enqueue(one);
      });
      return;
    }
    if (waiting.length >= maxWaiting || !nodeBudget.take("", clock.steadyMs())) {
      log.debug({ pod: podKeyOf(one.pod), event: one.facts.reason }, "event isn't written: too many at once");
      return;
    }
    one.waiting = true;
    waiting.push(one);
    running ??= drain();
  }

  async function drain(): Promise<void> {
    if (settleMs > 0) await pause(clock, settleMs, hurry.signal);
    for (let one = waiting.shift(); one; one = waiting.shift()) await writeStubbornly(one);
    running = undefined;
  }

  async function writeStubbornly(one: Known): Promise<void> {
    for (let tries = 1; !stopped.signal.aborted; tries += 1) {
      try {
        one.waiting = false;
        one.quietUntil = clock.steadyMs() + repeatMs;
        await write(one);
        return;
      } catch (thrown) {
        const error = asPodplugError(thrown);
        if (error.reason === "UNREACHABLE" && tries < maxTries && !stopping) {
          await pause(clock, backoffMs(tries, random, error.retryAfterMs), stopped.signal);
        } else {
          const facts = { pod: podKeyOf(one.pod), event: one.facts.reason, err: error };
          log.warn(facts, "event couldn't be written");
          return;
        }
      }
    }
  }

  async function write(one: Known): Promise<void> {
    const { namespace, name: pod } = one.pod;
    const collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/events`;
    const doing = `writing an event of pod ${namespace}/${pod}`;
    if (one.created) {
      const body = { type: "application/merge-patch+json", content: eventPatch(one) };
      const call = {
        method: "PATCH",
        path: `${collection}/${one.name}`,
        body,
        doing,
        expected: [404],
      } as const;
      const { status } = await client.call(call, stopped.signal);
      if (status !== 404) return;
      // Events live for an hour or so.
      one.name = eventNameFor(pod);
    }
    const body = { type: "application/json", content: eventObject(one, nodeName) };
    // 409: an earlier try, whose answer was lost, has written it. 404: its namespace is gone.
    const call = { method: "POST", path: collection, body, doing, expected: [404, 409] } as const;
    const { status } = await client.call(call, stopped.signal);
    one.created = status !== 404;
  }

  return {
    record(pod, given) {
      if (stopping) return;
      const facts = withBoundedMessage(given);
      const now = clock.now();
      const fingerprint = JSON.stringify([pod.uid, facts.type, facts.reason, facts.message]);
      let one = known.get(fingerprint);
      if (one) {
        one.count += 1;
        one.last = now;
      } else if (podBudgets.take(pod.uid, clock.steadyMs())) {
        const name = eventNameFor(pod.name);
        one = {
          pod,
          facts,
          name,
          first: now,
          last: now,
          count: 1,
          created: false,
          waiting: false,
          quietUntil: 0,
        };
        remember(fingerprint, one);
      } else {
        log.debug({ pod: podKeyOf(pod), event: facts.reason }, "event isn't written: the pod has too many");
        return;
      }
      enqueue(one);
    },
    async [Symbol.asyncDispose]() {
      stopping = true;
      hurry.abort();
      for (const { timer } of known.values()) timer?.[Symbol.dispose]();
      using _deadline = clock.setTimer(flushMs, () => stopped.abort());
      await running;
      stopped.abort();
    },
  };
}
