import { describe, expect, test } from "vitest";
import type { KubeUser } from "../../src/kube/contract.ts";
import { createReviewer } from "../../src/kube/reviewer.ts";
import { type ReviewerWorld, reviewerContract } from "../contracts/reviewer.ts";
import { createFakeReviewer, type FakeReviewer } from "../fakes/fake-reviewer.ts";
import { failure } from "../support/failure.ts";
import { createClusterWorld } from "./cluster-world.ts";
import { sendStatus } from "./fake-api-server.ts";

const { signal } = new AbortController();
const user: KubeUser = {
  name: "system:serviceaccount:demo:operator",
  uid: "u-1",
  groups: ["system:serviceaccounts", "system:authenticated"],
  extra: { "example.org/scopes": ["a", "b"] },
};

function worldOf(fake: FakeReviewer): Omit<ReviewerWorld, "reviewer" | typeof Symbol.asyncDispose> {
  return {
    namespace: "demo",
    user,
    issue: async (audience) => fake.issue(user, [audience]),
    allow: async (access) => fake.allow(user.name, { ...access, namespace: "demo" }),
    allowPath: async (path) => fake.allow(user.name, { verb: "get", path }),
  };
}

describe("reviews in memory", () => {
  reviewerContract(async () => {
    const reviewer = createFakeReviewer();
    return { ...worldOf(reviewer), reviewer, [Symbol.asyncDispose]: async () => undefined };
  });
});

describe("reviews over HTTPS", () => {
  reviewerContract(async () => {
    const world = await createClusterWorld();
    const reviewer = createReviewer({ client: world.client });
    return {
      ...worldOf(world.server.reviews),
      reviewer,
      [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
    };
  });

  test("carry the whole user", async () => {
    await using world = await createClusterWorld();
    const reviewer = createReviewer({ client: world.client });
    const token = world.server.reviews.issue(user, ["podplug"]);
    const verdict = await reviewer.whoIs(token, ["podplug"], signal);
    expect(verdict).toEqual({ authenticated: true, user, audiences: ["podplug"] });
    await reviewer.may(user, { verb: "get", group: "podplug.io", resource: "podnetworks" }, signal);
    expect(world.server.seen.at(-1)?.body).toMatchObject({
      kind: "SubjectAccessReview",
      spec: {
        user: user.name,
        uid: user.uid,
        groups: user.groups,
        extra: user.extra,
        resourceAttributes: { verb: "get", group: "podplug.io", resource: "podnetworks" },
      },
    });
  });

  test("that the agent's account may not ask for are PRIVILEGE_MISSING", async () => {
    await using world = await createClusterWorld();
    world.server.trick(/tokenreviews/, (_request, response) =>
      sendStatus(response, 403, "tokenreviews is forbidden"),
    );
    await expect(createReviewer({ client: world.client }).whoIs("t", ["podplug"], signal)).rejects.toEqual(
      failure("PRIVILEGE_MISSING", "asking for a TokenReview"),
    );
  });

  test("of which an authorizer both allows and denies are denied", async () => {
    await using world = await createClusterWorld();
    world.server.trick(/subjectaccessreviews/, (_request, response) => {
      response.writeHead(201, { "content-type": "application/json" });
      response.end(JSON.stringify({ status: { allowed: true, denied: true, reason: "no" } }));
    });
    const reviewer = createReviewer({ client: world.client });
    const access = { verb: "get", group: "podplug.io", resource: "podnetworks" };
    expect(await reviewer.may(user, access, signal)).toEqual({ allowed: false, why: "no" });
  });
});
