import { createHmac, randomBytes } from "node:crypto";
import type { Clock } from "../../domain/clock.ts";
import { PodplugError } from "../../domain/errors.ts";
import type { Reviewer, TokenVerdict } from "../../kube/contract.ts";
import { createAnswerCache } from "./answer-cache.ts";
import type { Credential } from "./contract.ts";

/** How long a token is believed without asking again: what revoking it takes to be felt. */
const believedMs = 120_000;
/** Briefly: a token that was made a moment ago may not be known everywhere yet. */
const refusedMs = 10_000;

/**
 * A bearer token is whoever the API server says it is, when it says that the
 * token was made for one of our audiences. Tokens themselves are never kept.
 */
export function createTokenCredential(options: {
  readonly reviewer: Pick<Reviewer, "whoIs">;
  readonly audiences: readonly string[];
  readonly clock: Clock;
}): Credential {
  const { reviewer, audiences, clock } = options;
  const secret = randomBytes(32);
  const verdicts = createAnswerCache<TokenVerdict & { readonly expiresAt: number }>({
    lifetimeMs: ({ authenticated, expiresAt }) =>
      authenticated ? Math.min(believedMs, expiresAt - clock.now().getTime()) : refusedMs,
    clock,
    doing: "asking who a token is",
  });

  return async ({ headers }, signal) => {
    const token = tokenIn(headers);
    if (token === undefined) return undefined;
    const key = createHmac("sha256", secret).update(token).digest("base64");
    const verdict = await verdicts.get(
      key,
      async (until) => ({
        ...(await reviewer.whoIs(token, audiences, until)),
        expiresAt: expiryOf(token),
      }),
      signal,
    );
    if (!verdict.authenticated) throw refusal(verdict.why);
    if (!verdict.audiences.some((audience) => audiences.includes(audience))) {
      throw refusal(`the API server doesn't say that it is for audience ${audiences.join(" or ")}`);
    }
    return { ...verdict.user, reconciler: false, by: "token" };
  };
}

function tokenIn(headers: Headers): string | undefined {
  const authorization = headers.get("authorization");
  if (authorization === null) return undefined;
  const [, token] = /^Bearer +([\x21-\x7e]+)$/i.exec(authorization.trim()) ?? [];
  if (token === undefined) throw refusal("the authorization header isn't of the form Bearer TOKEN");
  return token;
}

/** A JSON Web Token says itself when it ends, in milliseconds; it is read only once somebody has vouched for it. */
function expiryOf(token: string): number {
  try {
    const [, payload = ""] = token.split(".");
    const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString()) as { readonly exp?: unknown };
    return typeof exp === "number" ? exp * 1000 : Number.POSITIVE_INFINITY;
  } catch {
    // Tokens of other forms don't tell.
    return Number.POSITIVE_INFINITY;
  }
}

function refusal(why: string): PodplugError {
  return new PodplugError("UNAUTHENTICATED", `the bearer token isn't accepted: ${why}`);
}
