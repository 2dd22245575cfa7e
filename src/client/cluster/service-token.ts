import type { Clock } from "../../domain/clock.ts";
import type { Cluster, ObjectKey, ServiceToken } from "../../kube/cluster-contract.ts";
import type { TokenSource } from "../credentials.ts";

/** What agents know their callers' tokens by (docs/security.md). */
const audience = "podplug";

export interface ServiceTokenOptions {
  readonly cluster: Pick<Cluster, "requestToken">;
  readonly account: ObjectKey;
  readonly lifetimeSeconds: number;
  readonly clock: Clock;
}

/** Tokens of a service account, made for agents alone: the same one for all of them, and a new one before it ends. */
export function createServiceTokens(options: ServiceTokenOptions): TokenSource {
  const { cluster, account, lifetimeSeconds, clock } = options;
  const renewBeforeMs = (lifetimeSeconds * 1000) / 5;
  const isGood = ({ expiresAt }: ServiceToken): boolean =>
    expiresAt.getTime() - clock.now().getTime() > renewBeforeMs;
  let present: Promise<ServiceToken> | undefined;

  return async (signal) => {
    const held = present;
    const last = await held?.catch(() => undefined);
    if (last !== undefined && isGood(last)) return last.token;
    // Of many who find none, one asks.
    const asked = present === held ? undefined : present;
    present = asked ?? cluster.requestToken({ account, audience, lifetimeSeconds }, signal);
    return (await present).token;
  };
}
