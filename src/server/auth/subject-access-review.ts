import type { Clock } from "../../domain/clock.ts";
import { canonicalJson } from "../../domain/json.ts";
import type { AccessVerdict, ReviewedAccess, ReviewedPath, Reviewer } from "../../kube/contract.ts";
import { createAnswerCache } from "./answer-cache.ts";
import type { Access, Authorizer, Identity } from "./contract.ts";

/** How long a permission is believed after it was asked about, and how long a refusal. */
const allowedMs = 60_000;
const deniedMs = 10_000;

/** By the API server's authorizers, RBAC as a rule. What isn't named as a pod it can't know: those targets are refused. */
export function createReviewAuthorizer(options: {
  readonly reviewer: Pick<Reviewer, "may">;
  readonly clock: Clock;
}): Authorizer {
  const { reviewer, clock } = options;
  const verdicts = createAnswerCache<AccessVerdict>({
    lifetimeMs: ({ allowed }) => (allowed ? allowedMs : deniedMs),
    clock,
    doing: "asking what a caller may do",
    maxEntries: 16_384,
  });

  return async (identity, access, signal) => {
    const reviewed = reviewedAccess(access);
    if (!reviewed) {
      const why = "targets by path or container ID are for the node's own socket and for static rules";
      return { allowed: false, why };
    }
    const { name, uid, extra } = identity;
    const user = { name, uid, groups: reviewedGroups(identity), extra };
    const key = canonicalJson([user, reviewed]);
    const { allowed, why } = await verdicts.get(key, (until) => reviewer.may(user, reviewed, until), signal);
    return allowed ? { allowed } : { allowed, why: why || "no role allows it" };
  };
}

const authenticated = "system:authenticated";
const unauthenticated = "system:unauthenticated";

/**
 * With the group that RBAC knows everybody by who has shown who they are. A
 * TokenReview has it already; to what a certificate says, the one who lets its
 * bearer in adds it, as a kubelet does.
 */
function reviewedGroups({ name, groups }: Identity): readonly string[] {
  const isTold = groups.includes(authenticated) || groups.includes(unauthenticated);
  return isTold || name === "system:anonymous" ? groups : [...groups, authenticated];
}

function reviewedAccess({ resource: whole, ...access }: Access): ReviewedAccess | ReviewedPath | undefined {
  const [resource = "", subresource] = whole.split("/");
  switch (resource) {
    case "netns":
    case "containers":
      return undefined;
    case "metrics":
      return { verb: access.verb, path: "/metrics" };
    case "network-attachment-definitions":
      return { ...access, group: "k8s.cni.cncf.io", resource };
    default:
      return { ...access, group: "podplug.io", resource, subresource };
  }
}
