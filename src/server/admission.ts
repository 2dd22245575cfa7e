import { createContextKey, type HandlerContext } from "@connectrpc/connect";
import type { Caller } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { Audit } from "./audit.ts";
import type { Authenticator, Authorizer, Identity, RequestFacts } from "./auth/contract.ts";
import { answerFor } from "./errors.ts";
import type { ServerLimits } from "./limits.ts";
import { peerNetwork } from "./listeners/peer-network.ts";

/** How a listener tells who is calling and what they may do; without an authorizer, everything. */
export interface Door {
  readonly transport: RequestFacts["transport"];
  readonly authenticate: Authenticator;
  readonly authorizer?: Authorizer | undefined;
}

/** What is known of a request as it comes in. */
interface Arrival {
  readonly door: Door;
  readonly facts: RequestFacts;
}

/** A call that may come in. */
export interface Admitted {
  readonly identity: Identity;
  readonly remoteAddress: string | undefined;
  readonly authorizer: Authorizer | undefined;
  /** Throws once the credentials that the request showed no longer hold. */
  readonly reauthenticate: (signal: AbortSignal) => Promise<void>;
}

export const arrivalKey = createContextKey<Arrival | undefined>(undefined, {
  description: "how the request came in",
});
const admittedKey = createContextKey<Admitted | undefined>(undefined, { description: "who is calling" });

/** What admission found of this call's caller. */
export function admittedOf(context: HandlerContext): Admitted {
  const admitted = context.values.get(admittedKey);
  if (!admitted) throw new PodplugError("INTERNAL", "a call came in without admission");
  return admitted;
}

export interface Admission {
  /** Decides before a request's body is read whether a call comes in. */
  readonly admit: (context: HandlerContext) => Promise<void>;
  /** As `admit`, also while the agent stops: for what tells that it does. */
  readonly admitToTheEnd: (context: HandlerContext) => Promise<void>;
  /** The same bounds for a request that is no call; `leave` when it is answered. */
  readonly arrive: (door: Door, facts: RequestFacts, signal: AbortSignal) => Promise<Arrived>;
}

export interface Arrived {
  readonly identity: Identity;
  readonly leave: () => void;
}

/** A call comes in when it is known who calls and the bounds on calls in flight hold. */
export function createAdmission(options: {
  readonly limits: ServerLimits;
  readonly stopping: AbortSignal;
  readonly audit: Audit;
  readonly log: Logger;
}): Admission {
  const { limits, stopping, audit, log } = options;
  const calls = createInFlight(limits);
  const arrivals = createInFlight(limits);

  async function enter({ signal, values }: HandlerContext): Promise<void> {
    const arrival = values.get(arrivalKey);
    if (!arrival) throw new PodplugError("INTERNAL", "a request came in by no listener");
    const { door, facts } = arrival;
    const { identity, leave } = await arrive(door, facts, signal);
    // The context's signal aborts at the end of every call, however it ends.
    signal.addEventListener("abort", leave, { once: true });
    values.set(admittedKey, {
      identity,
      remoteAddress: facts.remoteAddress,
      authorizer: door.authorizer,
      reauthenticate: async (until) => void (await door.authenticate(facts, until)),
    });
  }

  async function arrive(door: Door, facts: RequestFacts, signal: AbortSignal): Promise<Arrived> {
    const identity = await identify(door, facts, signal);
    signal.throwIfAborted();
    return { identity, leave: calls.enter(identity) };
  }

  /** Who isn't known yet is bounded by the address: finding out costs others something, too. */
  async function identify(door: Door, facts: RequestFacts, signal: AbortSignal): Promise<Identity> {
    const { remoteAddress } = facts;
    if (remoteAddress === undefined) return await door.authenticate(facts, signal);
    const leave = arrivals.enter({ name: `address ${peerNetwork(remoteAddress)}`, reconciler: false });
    try {
      return await door.authenticate(facts, signal);
    } finally {
      leave();
    }
  }

  const answering =
    (admit: (context: HandlerContext) => Promise<void>) =>
    async (context: HandlerContext): Promise<void> => {
      try {
        await admit(context);
      } catch (thrown) {
        const remoteAddress = context.values.get(arrivalKey)?.facts.remoteAddress;
        audit.turnedAway(context.method.name, { remoteAddress }, thrown);
        throw answerFor(thrown, context.signal, log, context.method.name);
      }
    };

  return {
    admit: answering(async (context) => {
      stopping.throwIfAborted();
      await enter(context);
    }),
    admitToTheEnd: answering(enter),
    arrive,
  };
}

function createInFlight(limits: ServerLimits): { enter(caller: Caller): () => void } {
  const counts = new Map<string, number>();
  let total = 0;

  return {
    enter({ name: caller, reconciler }) {
      const count = counts.get(caller) ?? 0;
      // The controller calls for every pod of the node and bounds itself: others never leave it without room.
      const perCaller = reconciler ? limits.inFlight : limits.inFlightPerCaller;
      if (count >= perCaller || (total >= limits.inFlight && !reconciler)) {
        const whose = count >= perCaller ? `${caller} has ${count}` : `the agent has ${total}`;
        throw new PodplugError("RESOURCE_EXHAUSTED", `${whose} calls in flight, no more are taken`, {
          retryAfterMs: 1000,
        });
      }
      counts.set(caller, count + 1);
      if (!reconciler) total += 1;
      return () => {
        const left = (counts.get(caller) ?? 0) - 1;
        if (left > 0) counts.set(caller, left);
        else counts.delete(caller);
        if (!reconciler) total -= 1;
      };
    },
  };
}
