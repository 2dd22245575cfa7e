import type { Clock } from "../../domain/clock.ts";
import { unlessAborted } from "../../domain/signals.ts";
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
  let last: ServiceToken | undefined;
  /** Of many who find none one asks, for all of them: the request ends when the last of those has left. */
  let asked: { readonly answer: Promise<ServiceToken>; readonly ending: AbortController } | undefined;
  let waiting = 0;

  function ask() {
    const ending = new AbortController();
    const answer = cluster
      .requestToken({ account, audience, lifetimeSeconds }, ending.signal)
      .then((token) => (last = token))
      .finally(() => {
        if (asked?.ending === ending) asked = undefined;
      });
    return { answer, ending };
  }

  return async (signal) => {
    if (last !== undefined && isGood(last)) return last.token;
    const { answer, ending } = (asked ??= ask());
    waiting += 1;
    try {
      return (await unlessAborted(answer, signal, "requesting a token")).token;
    } finally {
      waiting -= 1;
      if (waiting === 0) {
        ending.abort();
        asked = undefined;
      }
    }
  };
}
