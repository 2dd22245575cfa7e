import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type TLSSocket } from "node:tls";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createDirectoryStore } from "../../src/certificates/directory-store.ts";
import { type Provided, provideCertificate } from "../../src/certificates/provide.ts";
import type { Wanted } from "../../src/certificates/verdict.ts";
import { issueAuthority } from "../../src/certificates/x509.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { lockFile } from "../../src/state-lock.ts";
import { createAuthority } from "../support/certificates.ts";
import { failure } from "../support/failure.ts";

const dayMs = 86_400_000;
const agent: Wanted = {
  subject: { commonName: "podplug.node", organizations: [] },
  usage: "server",
  names: ["podplug.node", "10.0.0.7", "fd00::7"],
  days: 90,
  renewBeforeDays: 30,
};
const caller: Wanted = {
  subject: { commonName: "vnf", organizations: ["orchestrators", "readers"] },
  usage: "client",
  names: [],
  days: 90,
  renewBeforeDays: 30,
};

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "podplug-certificates-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** As if it were run in so many days. */
async function provide(wanted: Wanted = agent, inDays = 0): Promise<Provided> {
  const clock = { ...systemClock, now: () => new Date(Date.now() + inDays * dayMs) };
  const name = wanted.usage === "server" ? "tls" : "vnf";
  return await provideCertificate(
    { store: createDirectoryStore({ directory, lock: lockFile }), name, wanted, clock },
    signal,
  );
}

describe("a certificate", () => {
  test("lets a server and a client know each other, by the name that all nodes have", async () => {
    const server = await provide(agent);
    const client = await provide(caller);
    expect(await shakeHands(server, client)).toMatchObject({
      server: "known",
      client: "known",
      subject: { CN: "vnf", O: ["orchestrators", "readers"] },
    });
  });

  test("of a server isn't taken for a client's, nor the other way round", async () => {
    const server = await provide(agent);
    const client = await provide(caller);
    expect(await shakeHands(server, server)).toMatchObject({ server: "known", client: "INVALID_PURPOSE" });
    expect(await shakeHands(client, client)).toMatchObject({ server: "INVALID_PURPOSE", client: "known" });
  });

  test("stays while it is good for long enough", async () => {
    const first = await provide();
    const second = await provide(agent, 59);
    expect(second).toMatchObject({ certificate: first.certificate, key: first.key });
    expect(second.told).toEqual([expect.stringMatching(/tls\.crt is good until \d{4}-\d\d-\d\d$/)]);
  });

  test("is replaced before its end, with another key, and the authority stays", async () => {
    const first = await provide();
    const second = await provide(agent, 61);
    expect(second.authority).toBe(first.authority);
    expect(second.key).not.toBe(first.key);
    const remaining = new X509Certificate(second.certificate).validToDate.getTime() - Date.now();
    expect(Math.round(remaining / dayMs)).toBe(151);
  });

  test.each([
    ["other names", { ...agent, names: ["podplug.node", "10.0.0.8", "fd00::7"] }],
    ["more names", { ...agent, names: [...agent.names, "node-1.example"] }],
    ["fewer names", { ...agent, names: ["podplug.node"] }],
    ["another use", { ...agent, usage: "client" as const }],
    ["groups", { ...agent, subject: { ...agent.subject, organizations: ["nodes"] } }],
  ])("is replaced when it is to have %s", async (_what, wanted) => {
    const store = createDirectoryStore({ directory, lock: lockFile });
    const options = { store, name: "tls", clock: systemClock };
    const first = await provideCertificate({ ...options, wanted: agent }, signal);
    const second = await provideCertificate({ ...options, wanted }, signal);
    expect(second.certificate).not.toBe(first.certificate);
    const third = await provideCertificate({ ...options, wanted }, signal);
    expect(third.certificate).toBe(second.certificate);
  });

  test.each([
    ["whose key is another's", "tls.key", createAuthority().key],
    ["that another authority issued", "tls.crt", createAuthority().issue("podplug.node").cert],
    ["that can't be read", "tls.crt", "nothing of use"],
    ["whose key can't be read", "tls.key", "nothing of use"],
  ])("%s is replaced", async (_what, file, text) => {
    await provide();
    await writeFile(join(directory, file), text);
    const { certificate, key, authority } = await provide();
    expect(await shakeHands({ certificate, key, authority }, await provide(caller))).toMatchObject({
      server: "known",
    });
  });
});

test("of two runs at once one is told to try again, and the pair that is kept matches", async () => {
  const runs = await Promise.allSettled([provide(), provide()]);
  const refused = runs.flatMap((run) => (run.status === "rejected" ? [run.reason as unknown] : []));
  expect(refused).toEqual([failure("UNREACHABLE", "another run is at work in")]);
  const [certificate, key] = await Promise.all(
    ["tls.crt", "tls.key"].map((file) => readFile(join(directory, file), "utf8")),
  );
  expect(new X509Certificate(certificate ?? "").checkPrivateKey(createPrivateKey(key ?? ""))).toBe(true);
  expect((await provide()).certificate).toBe(certificate);
});

describe("the authority", () => {
  test("is replaced a year before its end by one with the same key, so that both vouch for all", async () => {
    const first = await provide();
    const later = await provide(agent, 3650 - 364);
    expect(later.authority).not.toBe(first.authority);
    const [old, next] = [first, later].map(({ authority }) => new X509Certificate(authority));
    for (const each of [first, later]) {
      const certificate = new X509Certificate(each.certificate);
      expect(old && next && [certificate.verify(old.publicKey), certificate.checkIssued(old)]).toEqual([
        true,
        true,
      ]);
      expect(next && [certificate.verify(next.publicKey), certificate.checkIssued(next)]).toEqual([
        true,
        true,
      ]);
    }
  });

  test("that somebody brought is renewed under its own name, and both vouch for all", async () => {
    const brought = createAuthority("My CA");
    await bring(brought);
    const names = ["podplug.node"];
    const known = { authority: brought.cert, ...named(brought.issue("podplug.node", names)) };
    const renewed = await provide();
    expect(renewed.told[0]).toMatch(/^renewed the authority /);
    expect(renewed.authority).not.toBe(brought.cert);
    const client = await provide(caller);
    for (const authority of [brought.cert, renewed.authority]) {
      expect(await shakeHands({ ...renewed, authority }, { ...client, authority })).toMatchObject({
        server: "known",
        client: "known",
      });
      expect(await shakeHands({ ...known, authority }, client)).toMatchObject({ server: "known" });
    }
  });

  test("is renewed as it was but for its span, and what lies beside it in its file stays", async () => {
    const other = createAuthority("another").cert;
    const brought = createAuthority("My CA");
    await bring({ ...brought, cert: `My authority\n${brought.cert}${other}` });
    const { authority } = await provide();
    const [before, after] = [brought.cert, authority].map((pem) => new X509Certificate(pem));
    expect(after?.subject).toBe("CN=My CA");
    expect(after?.publicKey.equals(before?.publicKey ?? createPublicKey(brought.key))).toBe(true);
    expect(after && after.validToDate.getTime() - Date.now() > 3649 * dayMs).toBe(true);
    expect(authority.startsWith("My authority\n")).toBe(true);
    expect(authority.endsWith(other)).toBe(true);
    expect((await provide()).authority).toBe(authority);
  });

  test("that another one issued serves for as long as it is good", async () => {
    const by = createAuthority("root");
    const notAfter = new Date(Date.now() + 100 * dayMs);
    const brought = createAuthority("My CA", { by, notAfter });
    await bring({ ...brought, cert: brought.cert + by.cert });
    const server = await provide();
    expect(server.authority).toBe(brought.cert + by.cert);
    expect(await shakeHands(server, await provide(caller))).toMatchObject({
      server: "known",
      client: "known",
    });
  });

  test("that another one issued is left alone before its end, which is told", async () => {
    const notAfter = new Date(Date.now() + 80 * dayMs);
    const brought = createAuthority("My CA", { by: createAuthority("root"), notAfter });
    await bring(brought);
    const end = notAfter.toISOString().slice(0, 10);
    await expect(provide()).rejects.toEqual(
      failure("INVALID_CONFIGURATION", `it ends on ${end}, and another authority issued it`),
    );
    expect(await readFile(join(directory, "ca.crt"), "utf8")).toBe(brought.cert);
  });

  test("of another name doesn't vouch for what was issued with its key, which is replaced", async () => {
    const first = await provide();
    const key = await readFile(join(directory, "ca.key"), "utf8");
    const span = { from: new Date(Date.now() - dayMs), until: new Date(Date.now() + 3000 * dayMs) };
    await writeFile(join(directory, "ca.crt"), issueAuthority("another name", key, span));
    const second = await provide();
    expect(second.certificate).not.toBe(first.certificate);
    expect(await shakeHands(second, await provide(caller))).toMatchObject({ server: "known" });
  });

  test("that a run left without its certificate gets one, for the same key", async () => {
    await provide();
    const key = await readFile(join(directory, "ca.key"), "utf8");
    await rm(join(directory, "ca.crt"));
    await provide();
    expect(await readFile(join(directory, "ca.key"), "utf8")).toBe(key);
  });

  test.each([
    ["whose key is missing", "ca.key", undefined, "its key is missing"],
    ["whose key is another's", "ca.key", createAuthority().key, "its key is another's"],
    ["whose key is none", "ca.key", "nothing of use", "its key isn't an ECDSA key on P-256"],
    ["that is none", "ca.crt", "nothing of use", "it isn't a certificate in PEM"],
    [
      "that may not issue",
      "ca.crt",
      createAuthority().issue("leaf").cert,
      "it isn't an authority's certificate",
    ],
  ])("%s is left alone, and nothing is issued", async (_what, file, text, why) => {
    await provide();
    await rm(join(directory, "tls.crt"));
    await (text === undefined ? rm(join(directory, file)) : writeFile(join(directory, file), text));
    await expect(provide()).rejects.toEqual(failure("INVALID_CONFIGURATION", why));
  });
});

async function bring({ cert, key }: { readonly cert: string; readonly key: string }): Promise<void> {
  await writeFile(join(directory, "ca.key"), key, { mode: 0o600 });
  await writeFile(join(directory, "ca.crt"), cert);
}

function named({ cert, key }: { readonly cert: string; readonly key: string }) {
  return { certificate: cert, key };
}

/** A connection by TLS; what each end thinks of the other. */
async function shakeHands(
  server: Omit<Provided, "told">,
  client: Omit<Provided, "told">,
): Promise<{ readonly server: string; readonly client: string; readonly subject: object }> {
  const listener = createServer({
    cert: server.certificate,
    key: server.key,
    ca: client.authority,
    requestCert: true,
    rejectUnauthorized: false,
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const accepted = once(listener, "secureConnection") as Promise<[TLSSocket]>;
  const socket = connect({
    port: (listener.address() as AddressInfo).port,
    host: "127.0.0.1",
    servername: "podplug.node",
    ca: server.authority,
    cert: client.certificate,
    key: client.key,
    rejectUnauthorized: false,
  });
  await once(socket, "secureConnect");
  const [peer] = await accepted;
  const { subject } = peer.getPeerCertificate();
  socket.destroy();
  listener.close();
  return { server: thoughtOf(socket), client: thoughtOf(peer), subject };
}

function thoughtOf({ authorized, authorizationError }: TLSSocket): string {
  return authorized ? "known" : String(authorizationError);
}
