import { PodplugError } from "../domain/errors.ts";
import { isJsonObject, type JsonObject } from "../domain/json.ts";
import type { ApiClient } from "./api-client.ts";
import type { KubeUser, ReviewedAccess, ReviewedPath, Reviewer } from "./contract.ts";
import { stringsOf } from "./metadata.ts";

/** By the API server's own reviews, authentication.k8s.io/v1 and authorization.k8s.io/v1. */
export function createReviewer({ client }: { readonly client: ApiClient }): Reviewer {
  /** The status that the API server answers a review with. */
  async function review(
    kind: "TokenReview" | "SubjectAccessReview",
    spec: JsonObject,
    signal: AbortSignal,
  ): Promise<JsonObject> {
    const group = kind === "TokenReview" ? "authentication.k8s.io" : "authorization.k8s.io";
    const { body } = await client.call(
      {
        method: "POST",
        path: `/apis/${group}/v1/${kind.toLowerCase()}s`,
        body: { type: "application/json", content: { apiVersion: `${group}/v1`, kind, spec } },
        doing: `asking for a ${kind}`,
      },
      signal,
    );
    const status = isJsonObject(body) ? body["status"] : undefined;
    if (!isJsonObject(status)) throw unreadable(kind);
    return status;
  }

  return {
    async whoIs(token, audiences, signal) {
      const status = await review("TokenReview", { token, audiences }, signal);
      if (status["authenticated"] !== true) {
        return {
          authenticated: false,
          why: textOf(status["error"]) || "the API server doesn't know the token",
        };
      }
      return { authenticated: true, user: userFrom(status["user"]), audiences: listOf(status["audiences"]) };
    },
    async may({ name, uid, groups, extra }, access, signal) {
      const spec = { ...withoutAbsent({ user: name, uid }), groups, extra, ...attributesOf(access) };
      const status = await review("SubjectAccessReview", spec, signal);
      // An authorizer may both deny and allow, and then it denies.
      const allowed = status["allowed"] === true && status["denied"] !== true;
      return { allowed, why: textOf(status["reason"]) || textOf(status["evaluationError"]) };
    },
  };
}

function attributesOf(access: ReviewedAccess | ReviewedPath): JsonObject {
  if ("path" in access) return { nonResourceAttributes: { verb: access.verb, path: access.path } };
  const { verb, group, resource, subresource, namespace, name } = access;
  return { resourceAttributes: withoutAbsent({ verb, group, resource, subresource, namespace, name }) };
}

function userFrom(value: unknown): KubeUser {
  const { username, uid } = stringsOf(value);
  if (!isJsonObject(value) || !username) throw unreadable("TokenReview");
  const { groups, extra } = value;
  return {
    name: username,
    uid,
    groups: listOf(groups),
    extra: isJsonObject(extra)
      ? Object.fromEntries(Object.entries(extra).map(([key, values]) => [key, listOf(values)]))
      : {},
  };
}

function listOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? (value as unknown[]).filter((item) => typeof item === "string") : [];
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value.trim().slice(0, 300) : "";
}

function withoutAbsent(values: Readonly<Record<string, string | undefined>>): Record<string, string> {
  const entries = Object.entries(values);
  return Object.fromEntries(entries.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

function unreadable(kind: string): PodplugError {
  return new PodplugError("INTERNAL", `the API server's answer to a ${kind} can't be read`);
}
