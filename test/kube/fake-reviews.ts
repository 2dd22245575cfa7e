import type { JsonObject } from "../../src/domain/json.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { ReviewedAccess, ReviewedPath, Reviewer } from "../../src/kube/contract.ts";

interface TokenSpec {
  readonly token: string;
  readonly audiences: readonly string[];
}

interface AccessSpec {
  readonly user: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, readonly string[]>>;
  readonly resourceAttributes?: ReviewedAccess;
  readonly nonResourceAttributes?: ReviewedPath;
}

/** A TokenReview or SubjectAccessReview as kube-apiserver answers it. */
export async function answerReview(reviewer: Reviewer, review: JsonObject): Promise<object> {
  if (review["kind"] === "TokenReview") {
    const { token, audiences } = review["spec"] as unknown as TokenSpec;
    const verdict = await reviewer.whoIs(token, audiences, neverAborted);
    if (!verdict.authenticated) return { ...review, status: { error: verdict.why, user: {} } };
    const { name, ...user } = verdict.user;
    return {
      ...review,
      status: { authenticated: true, user: { username: name, ...user }, audiences: verdict.audiences },
    };
  }
  const { user, uid, groups, extra, ...asked } = review["spec"] as unknown as AccessSpec;
  const access = asked.resourceAttributes ?? asked.nonResourceAttributes;
  if (!access) throw new Error("a SubjectAccessReview without attributes");
  const { allowed, why } = await reviewer.may({ name: user, uid, groups, extra }, access, neverAborted);
  return { ...review, status: { allowed, reason: why } };
}
