import type { Access, Authorizer, Identity } from "./contract.ts";

/** Who may do what; "*" in a list means everything. An absent list of users or groups is an empty one. */
export interface StaticRule {
  readonly users?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly verbs: readonly string[];
  readonly resources: readonly string[];
  /** Absent: those of every namespace, and what has none. */
  readonly namespaces?: readonly string[] | undefined;
  /** Of pods, networks, namespaces' paths or container IDs; absent: all. */
  readonly names?: readonly string[] | undefined;
}

/** For nodes without an API server: what no rule of the configuration allows is refused. */
export function createStaticAuthorizer(rules: readonly StaticRule[]): Authorizer {
  return async (identity, access) =>
    rules.some((rule) => isFor(rule, identity) && allows(rule, access))
      ? { allowed: true }
      : { allowed: false, why: "no rule of the agent's configuration allows it" };
}

function isFor({ users = [], groups = [] }: StaticRule, identity: Identity): boolean {
  return includes(users, identity.name) || identity.groups.some((group) => includes(groups, group));
}

function allows({ verbs, resources, namespaces, names }: StaticRule, access: Access): boolean {
  const { verb, resource, namespace, name } = access;
  return (
    includes(verbs, verb) &&
    includes(resources, resource) &&
    isWithin(namespaces, namespace) &&
    isWithin(names, name)
  );
}

/** A question about all of them is answered by a rule for all alone. */
function isWithin(allowed: readonly string[] | undefined, asked: string | undefined): boolean {
  if (allowed === undefined) return true;
  return asked === undefined ? allowed.includes("*") : includes(allowed, asked);
}

function includes(list: readonly string[], word: string): boolean {
  return list.includes("*") || list.includes(word);
}
