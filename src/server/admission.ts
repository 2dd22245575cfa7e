import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Caller } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { Authenticator, RequestFacts } from "./auth/contract.ts";
import { answerFor } from "./errors.ts";
import type { ServerLimits } from "./limits.ts";

/** What a listener knows of a request, and how it tells who is calling. */
export interface Arrival {
  readonly facts: RequestFacts;
  readonly authenticate: Authenticator;
}

export const arrivalKey = createContextKey<Arrival | undefined>(undefined, {
  description: "how the request came in",
});
const callerKey = createContextKey<Caller | undefined>(undefined, { description: "who is calling" });

/** The caller that admission found for this call. */
export function callerOf(context: HandlerContext): Caller {
  const caller = context.values.get(callerKey);
  if (!caller) throw new PodplugError("INTERNAL", "a call came in without admission");
  return caller;
}

/**
 * Decides before a request's body is read whether a call comes in: who calls
 * is known, the bounds on calls in flight hold, and the agent isn't stopping.
 */
export function createAdmission(options: {
  readonly limits: ServerLimits;
  readonly stopping: AbortSignal;
  readonly log: Logger;
}): (context: HandlerContext) => Promise<void> {
  const { limits, stopping, log } = options;
  const inFlight = createInFlight(limits);

  return async (context) => {
    const { signal, values, method } = context;
    try {
      stopping.throwIfAborted();
      const arrival = values.get(arrivalKey);
      if (!arrival) throw new PodplugError("INTERNAL", "a request came in by no listener");
      const caller = await arrival.authenticate(arrival.facts, signal);
      signal.throwIfAborted();
      const leave = inFlight(caller);
      // The context's signal aborts at the end of every call, however it ends.
      signal.addEventListener("abort", leave, { once: true });
      values.set(callerKey, caller);
    } catch (thrown) {
      throw answerFor(thrown, signal, log, method.name);
    }
  };
}

function createInFlight(limits: ServerLimits): (caller: Caller) => () => void {
  const counts = new Map<string, number>();
  let total = 0;

  return ({ name: caller, reconciler }) => {
    const count = counts.get(caller) ?? 0;
    // The controller calls for every pod of the node, and bounds itself.
    const perCaller = reconciler ? limits.inFlight : limits.inFlightPerCaller;
    if (count >= perCaller || total >= limits.inFlight) {
      const whose = count >= perCaller ? `${caller} has ${count}` : `the agent has ${total}`;
      throw new PodplugError("RESOURCE_EXHAUSTED", `${whose} calls in flight, no more are taken`, {
        retryAfterMs: 1000,
      });
    }
    counts.set(caller, count + 1);
    total += 1;
    return () => {
      const left = (counts.get(caller) ?? 0) - 1;
      if (left > 0) counts.set(caller, left);
      else counts.delete(caller);
      total -= 1;
    };
  };
}
