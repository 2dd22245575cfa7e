import { describe, expect, test } from "vitest";
import type { Clock } from "../../src/domain/clock.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import type { KubeUser } from "../../src/kube/contract.ts";
import { createTokenCredential } from "../../src/server/auth/bearer-token.ts";
import { createCertificateCredential } from "../../src/server/auth/client-certificate.ts";
import type { Access } from "../../src/server/auth/contract.ts";
import { createAuthenticator } from "../../src/server/auth/credentials.ts";
import { createStaticAuthorizer } from "../../src/server/auth/static-rules.ts";
import { createReviewAuthorizer } from "../../src/server/auth/subject-access-review.ts";
import { createFakeReviewer } from "../fakes/fake-reviewer.ts";
import { failure } from "../support/failure.ts";
import { createManualClock } from "../support/manual-clock.ts";

const user: KubeUser = {
  name: "system:serviceaccount:demo:operator",
  uid: "u-1",
  groups: ["system:serviceaccounts"],
  extra: { scopes: ["a"] },
};
const away = new PodplugError("UNREACHABLE", "asking for a TokenReview: connect ECONNREFUSED");

function createWorld(audiences: readonly string[] = ["podplug"]) {
  const reviewer = createFakeReviewer();
  const clock = createManualClock();
  const credential = createTokenCredential({ reviewer, audiences, clock });
  const authorizer = createReviewAuthorizer({ reviewer, clock });
  const authenticate = createAuthenticator([credential]);
  const show = (authorization: string) => {
    const headers = new Headers(authorization === "" ? {} : { authorization });
    return authenticate({ transport: "tls", headers }, signal);
  };
  return { reviewer, clock, authorizer, show, showToken: (token: string) => show(`Bearer ${token}`) };
}

describe("a bearer token", () => {
  test("is whoever the API server says", async () => {
    const { reviewer, showToken } = createWorld();
    const identity = await showToken(reviewer.issue(user, ["podplug"]));
    expect(identity).toEqual({ ...user, reconciler: false, by: "token" });
  });

  test.each(["", "Basic YTpi", "Bearer", "Bearer a b", "Bearer ä"])("isn't in %j", async (authorization) => {
    const { reviewer, show } = createWorld();
    await expect(show(authorization)).rejects.toEqual(failure("UNAUTHENTICATED"));
    expect(reviewer.reviews).toBe(0);
  });

  test("for another audience is refused", async () => {
    const { reviewer, showToken } = createWorld();
    await expect(showToken(reviewer.issue(user, ["api"]))).rejects.toEqual(
      failure("UNAUTHENTICATED", "audience"),
    );
  });

  test("is refused when the answer doesn't name our audience", async () => {
    const { reviewer, showToken } = createWorld();
    const token = reviewer.issue(user, ["podplug"]);
    reviewer.forgetAudiences();
    await expect(showToken(token)).rejects.toEqual(
      failure("UNAUTHENTICATED", "doesn't say that it is for audience podplug"),
    );
  });

  test("of a name that is podplug's own is refused", async () => {
    const { reviewer, showToken } = createWorld();
    for (const name of ["unix-socket", "controller", "anonymous", "annotation/npwg", "intent/contiv"]) {
      const token = reviewer.issue({ ...user, name }, ["podplug"]);
      await expect(showToken(token)).rejects.toEqual(failure("UNAUTHENTICATED", "podplug's own"));
    }
  });

  test("is asked about once in two minutes, and revoking it is felt after them", async () => {
    const { reviewer, clock, showToken } = createWorld();
    const token = reviewer.issue(user, ["podplug"]);
    await Promise.all([showToken(token), showToken(token)]);
    reviewer.revoke(token);
    clock.advance(119_999);
    await showToken(token);
    expect(reviewer.reviews).toBe(1);
    clock.advance(1);
    await expect(showToken(token)).rejects.toEqual(failure("UNAUTHENTICATED"));
  });

  test("is never believed beyond its own end", async () => {
    const { reviewer, clock, showToken } = createWorld();
    const exp = clock.now().getTime() / 1000 + 30;
    const payload = Buffer.from(JSON.stringify({ exp })).toString("base64url");
    const token = `e30.${payload}.c2ln`;
    const known = reviewer.issue(user, ["podplug"]);
    const whoIs = reviewer.whoIs.bind(reviewer);
    reviewer.whoIs = (_token, ...rest) => whoIs(known, ...rest);
    await showToken(token);
    clock.advance(29_999);
    await showToken(token);
    reviewer.revoke(known);
    clock.advance(1);
    await expect(showToken(token)).rejects.toEqual(failure("UNAUTHENTICATED"));
  });

  test("that was refused is asked about again after ten seconds", async () => {
    const { reviewer, clock, showToken } = createWorld();
    await expect(showToken("token-1")).rejects.toEqual(failure("UNAUTHENTICATED"));
    reviewer.issue(user, ["podplug"]);
    clock.advance(9_999);
    await expect(showToken("token-1")).rejects.toEqual(failure("UNAUTHENTICATED"));
    clock.advance(1);
    expect((await showToken("token-1")).name).toBe(user.name);
  });

  test("is denied, with the reason, while the API server is away, unless it is known", async () => {
    const { reviewer, showToken } = createWorld();
    const known = reviewer.issue(user, ["podplug"]);
    const unknown = reviewer.issue(user, ["podplug"]);
    await showToken(known);
    reviewer.failWith(away);
    await showToken(known);
    await expect(showToken(unknown)).rejects.toEqual(failure("UNREACHABLE", "ECONNREFUSED"));
    reviewer.failWith(undefined);
    await showToken(unknown);
  });

  test("that is known stays so in a flood of others", async () => {
    const { reviewer, showToken } = createWorld();
    const token = reviewer.issue(user, ["podplug"]);
    await showToken(token);
    for (let count = 0; count < 5000; count += 1) await showToken(`made-up-${count}`).catch(() => undefined);
    reviewer.failWith(away);
    expect((await showToken(token)).name).toBe(user.name);
  });
});

describe("a client certificate", () => {
  const validTo = new Date("2026-01-01T01:00:00Z");
  const later = new Date(validTo.getTime() + 3_600_000);
  const part = (signer: string, CN: string, notAfter = validTo) => ({ signer, subject: { CN }, notAfter });
  const show = (clock: Clock, authorities: Readonly<Record<string, Date>>, leafEnds = validTo) => {
    const trustedUntil = (signer: string) => authorities[signer];
    const clientCertificate = { chain: [part("leaf", "operator", leafEnds), part("root", "authority")] };
    const facts = { transport: "tls", headers: new Headers(), clientCertificate } as const;
    return createCertificateCredential({ trustedUntil, clock })(facts, signal);
  };

  test("ends on a connection that was open before", async () => {
    const clock = createManualClock();
    clock.advance(3_600_000);
    expect(await show(clock, { root: validTo })).toMatchObject({ name: "operator" });
    clock.advance(1);
    await expect(show(clock, { root: later })).rejects.toEqual(failure("UNAUTHENTICATED", "has expired"));
  });

  test("outlives its authority's certificate when that one has got its next, and else ends with it", async () => {
    const clock = createManualClock();
    clock.advance(3_600_001);
    expect(await show(clock, { root: later }, later)).toMatchObject({ name: "operator" });
    await expect(show(clock, { root: validTo }, later)).rejects.toEqual(
      failure("UNAUTHENTICATED", "has expired"),
    );
  });

  test("is believed as long as something of its chain is among the authorities", async () => {
    expect(await show(createManualClock(), { other: validTo, root: validTo })).toMatchObject({
      name: "operator",
    });
    expect(await show(createManualClock(), { leaf: validTo })).toMatchObject({ name: "operator" });
    await expect(show(createManualClock(), { other: validTo })).rejects.toEqual(
      failure("UNAUTHENTICATED", "no longer trusted"),
    );
  });
});

describe("a permission", () => {
  const access: Access = { verb: "create", resource: "podnetworks/config", namespace: "demo", name: "web" };
  const me = { ...user, reconciler: false, by: "token" } as const;
  const byCertificate = { name: "operator", extra: {}, reconciler: false, by: "client-certificate" } as const;

  test("of all who are authenticated is a certificate's too, by RBAC and not by the node's own rules", async () => {
    const { reviewer, authorizer } = createWorld();
    const everybody = "system:authenticated";
    reviewer.allow(everybody, { group: "podplug.io", resource: "podnetworks", subresource: "config" });
    const known = { ...byCertificate, groups: ["vnf"] };
    expect(await authorizer(known, access, signal)).toEqual({ allowed: true });
    const unknown = { ...byCertificate, groups: ["system:unauthenticated"] };
    expect(await authorizer(unknown, access, signal)).toMatchObject({ allowed: false });
    const anonymous = { ...byCertificate, name: "system:anonymous", groups: [] };
    expect(await authorizer(anonymous, access, signal)).toMatchObject({ allowed: false });
    const rules = createStaticAuthorizer([{ groups: [everybody], verbs: ["*"], resources: ["*"] }]);
    expect(await rules(known, access, signal)).toMatchObject({ allowed: false });
  });

  test("is the API server's answer for the whole user and the resource's group", async () => {
    const { reviewer, authorizer } = createWorld();
    reviewer.allow("system:serviceaccounts", {
      group: "podplug.io",
      resource: "podnetworks",
      subresource: "config",
      namespace: "demo",
    });
    reviewer.allow(user.name, { group: "k8s.cni.cncf.io", resource: "network-attachment-definitions" });
    expect(await authorizer(me, access, signal)).toEqual({ allowed: true });
    const definition = { verb: "get", resource: "network-attachment-definitions", namespace: "n" } as const;
    expect(await authorizer(me, definition, signal)).toEqual({ allowed: true });
    const other = await authorizer(me, { ...access, resource: "podnetworks" }, signal);
    expect(other).toEqual({ allowed: false, why: "no role allows it" });
  });

  test("is believed for a minute, a refusal for ten seconds", async () => {
    const { reviewer, clock, authorizer } = createWorld();
    const may = async (): Promise<boolean> => (await authorizer(me, access, signal)).allowed;
    expect(await may()).toBe(false);
    reviewer.allow(user.name, {});
    clock.advance(9_999);
    expect(await may()).toBe(false);
    clock.advance(1);
    expect(await may()).toBe(true);
    reviewer.forbid(user.name);
    clock.advance(59_999);
    expect(await may()).toBe(true);
    clock.advance(1);
    expect(await may()).toBe(false);
  });

  test("isn't there while the API server is away", async () => {
    const { reviewer, authorizer } = createWorld();
    reviewer.allow(user.name, {});
    reviewer.failWith(away);
    await expect(authorizer(me, access, signal)).rejects.toEqual(failure("UNREACHABLE"));
  });

  test.each(["netns", "containers"] as const)(
    "for %s is never the API server's to give",
    async (resource) => {
      const { reviewer, authorizer } = createWorld();
      reviewer.allow(user.name, {});
      const verdict = await authorizer(me, { verb: "create", resource, name: "x" }, signal);
      expect(verdict).toEqual({ allowed: false, why: expect.stringContaining("socket") as string });
      expect(reviewer.reviews).toBe(0);
    },
  );
});
