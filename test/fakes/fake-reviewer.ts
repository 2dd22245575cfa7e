import type { PodplugError } from "../../src/domain/errors.ts";
import { abortError } from "../../src/domain/signals.ts";
import type { KubeUser, ReviewedAccess, ReviewedPath, Reviewer } from "../../src/kube/contract.ts";

type AllowedAccess = Partial<ReviewedAccess & ReviewedPath>;

/** Users and what they may, in memory, as an API server with RBAC would tell. */
export interface FakeReviewer extends Reviewer {
  /** Makes a token of the user's for these audiences. */
  issue(user: KubeUser, audiences: readonly string[]): string;
  revoke(token: string): void;
  /** Absent keys of the access allow all. The user is named by itself or by a group. */
  allow(who: string, access: AllowedAccess): void;
  forbid(who: string): void;
  /** Answers without audiences, as an authenticator does that doesn't know of them. */
  forgetAudiences(): void;
  /** Every review fails with it, until cleared with `undefined`. */
  failWith(error: PodplugError | undefined): void;
  /** How many reviews were asked for. */
  readonly reviews: number;
}

export function createFakeReviewer(): FakeReviewer {
  const tokens = new Map<string, { readonly user: KubeUser; readonly audiences: readonly string[] }>();
  const rules: { readonly who: string; readonly access: AllowedAccess }[] = [];
  let reviews = 0;
  let made = 0;
  let unaware = false;
  let failure: PodplugError | undefined;

  function answer(signal: AbortSignal): void {
    if (signal.aborted) throw abortError(signal, "asking for a review");
    reviews += 1;
    if (failure) throw failure;
  }

  return {
    async whoIs(token, audiences, signal) {
      answer(signal);
      const known = tokens.get(token);
      if (!known) return { authenticated: false, why: "invalid bearer token" };
      if (unaware) return { authenticated: true, user: known.user, audiences: [] };
      const common = known.audiences.filter((audience) => audiences.includes(audience));
      return common.length === 0
        ? { authenticated: false, why: "token audiences are invalid for the target audiences" }
        : { authenticated: true, user: known.user, audiences: common };
    },
    async may({ name, groups }, access: AllowedAccess, signal) {
      answer(signal);
      const allowed = rules.some(
        (rule) =>
          [name, ...groups].includes(rule.who) &&
          Object.entries(rule.access).every(([key, value]) => access[key as keyof AllowedAccess] === value) &&
          // A role's resources don't include their subresources.
          (rule.access.resource === undefined || rule.access.subresource === access.subresource),
      );
      return { allowed, why: "" };
    },
    issue(user, audiences) {
      made += 1;
      const token = `token-${made}`;
      tokens.set(token, { user, audiences });
      return token;
    },
    revoke: (token) => void tokens.delete(token),
    allow: (who, access) => void rules.push({ who, access }),
    forbid(who) {
      for (const rule of rules.filter((each) => each.who === who)) rules.splice(rules.indexOf(rule), 1);
    },
    forgetAudiences() {
      unaware = true;
    },
    failWith(error) {
      failure = error;
    },
    get reviews() {
      return reviews;
    },
  };
}
