import { expect, test } from "vitest";
import type { KubeUser, ReviewedAccess, Reviewer } from "../../src/kube/contract.ts";

const { signal } = new AbortController();

/** A cluster in which nobody may anything about podnetworks, and a hand that makes users. */
export interface ReviewerWorld extends AsyncDisposable {
  readonly reviewer: Reviewer;
  /** Where the user's permissions are. */
  readonly namespace: string;
  readonly user: KubeUser;
  /** Of the user's, for an audience. */
  issue(audience: string): Promise<string>;
  /** Allows the user this in the namespace. */
  allow(access: Pick<ReviewedAccess, "verb" | "group" | "resource" | "subresource" | "name">): Promise<void>;
  /** Allows the user to get the path. */
  allowPath(path: string): Promise<void>;
}

const pods = { verb: "create", group: "podplug.io", resource: "podnetworks" } as const;

export function reviewerContract(makeWorld: () => Promise<ReviewerWorld>): void {
  test("tells who a token is that is for one of the audiences, and for which", async () => {
    await using world = await makeWorld();
    const token = await world.issue("podplug");
    const verdict = await world.reviewer.whoIs(token, ["podplug", "other"], signal);
    expect(verdict).toMatchObject({
      authenticated: true,
      user: { name: world.user.name, groups: expect.arrayContaining([...world.user.groups]) as string[] },
      audiences: ["podplug"],
    });
  });

  test("doesn't know a token that is for another audience", async () => {
    await using world = await makeWorld();
    const verdict = await world.reviewer.whoIs(await world.issue("other"), ["podplug"], signal);
    expect(verdict).toEqual({ authenticated: false, why: expect.stringContaining("audience") as string });
  });

  test("doesn't know a token that nobody made", async () => {
    await using world = await makeWorld();
    const verdict = await world.reviewer.whoIs("made.up.token", ["podplug"], signal);
    expect(verdict).toEqual({ authenticated: false, why: expect.stringMatching(/./) as string });
  });

  test("allows what a role allows, and nothing beside", async () => {
    await using world = await makeWorld();
    const { reviewer, user, namespace } = world;
    const may = async (access: Partial<ReviewedAccess>, who: KubeUser = user): Promise<boolean> =>
      (await reviewer.may(who, { ...pods, namespace, name: "web", ...access }, signal)).allowed;
    expect(await may({})).toBe(false);
    await world.allow({ ...pods, name: "web" });
    await expect.poll(() => may({})).toBe(true);
    expect(await may({ name: "db" })).toBe(false);
    expect(await may({ name: undefined })).toBe(false);
    expect(await may({ namespace: "elsewhere" })).toBe(false);
    expect(await may({ namespace: undefined })).toBe(false);
    expect(await may({ verb: "delete" })).toBe(false);
    expect(await may({ subresource: "config" })).toBe(false);
    expect(await may({ group: "k8s.cni.cncf.io" })).toBe(false);
    expect(await may({}, { ...user, name: "somebody-else", groups: [] })).toBe(false);
  });

  test("allows a subresource by itself", async () => {
    await using world = await makeWorld();
    const { reviewer, user, namespace } = world;
    const force = { ...pods, verb: "delete", subresource: "force" };
    await world.allow(force);
    const may = async (access: ReviewedAccess): Promise<boolean> =>
      (await reviewer.may(user, { ...access, namespace, name: "web" }, signal)).allowed;
    await expect.poll(() => may(force)).toBe(true);
    expect(await may({ ...pods, verb: "delete" })).toBe(false);
  });

  test("allows a path that is no resource's, and no other", async () => {
    await using world = await makeWorld();
    const { reviewer, user } = world;
    const mayGet = async (path: string, verb = "get"): Promise<boolean> =>
      (await reviewer.may(user, { verb, path }, signal)).allowed;
    expect(await mayGet("/metrics")).toBe(false);
    await world.allowPath("/metrics");
    await expect.poll(() => mayGet("/metrics")).toBe(true);
    expect(await mayGet("/metrics/slis")).toBe(false);
    expect(await mayGet("/metrics", "post")).toBe(false);
  });
}
