import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { createKubeAccess } from "../../src/kube/access.ts";
import { createApiClient } from "../../src/kube/api-client.ts";
import { createAuthority } from "../support/certificates.ts";
import { failure } from "../support/failure.ts";
import { createClusterWorld, podPath } from "./cluster-world.ts";
import { sendStatus } from "./fake-api-server.ts";

const { signal } = new AbortController();
const call = { path: podPath("demo/web"), doing: "getting pod demo/web" };

async function createWorld(...options: Parameters<typeof createClusterWorld>) {
  const world = await createClusterWorld(...options);
  onTestFinished(() => world[Symbol.asyncDispose]());
  world.setPod("demo/web");
  const path = join(world.directory, "kubeconfig");
  return Object.assign(world, {
    kubeconfig: path,
    /** A kubeconfig with this user; the cluster's keys can be replaced. */
    writeKubeconfig: (user: object, cluster: object = {}): Promise<void> =>
      writeFile(
        path,
        JSON.stringify({
          "current-context": "here",
          contexts: [{ name: "here", context: { cluster: "c", user: "u" } }],
          clusters: [
            {
              name: "c",
              cluster: { server: world.server.url, "certificate-authority": "ca.crt", ...cluster },
            },
          ],
          users: [{ name: "u", user }],
        }),
      ),
    async open() {
      const access = await createKubeAccess({ kind: "kubeconfig", path });
      onTestFinished(() => access[Symbol.dispose]());
      return createApiClient({ access, clock: systemClock });
    },
    headers: (): readonly string[] => world.server.seen.map(({ authorization }) => authorization),
  });
}

test.each([
  ["token", { token: "first-token" }],
  ["tokenFile beside it", { tokenFile: "token" }],
  ["command", { exec: { apiVersion: "v1", command: "echo", args: ['{"status":{"token":"first-token"}}'] } }],
])("a kubeconfig's %s is what podplug shows", async (_what, user) => {
  const world = await createWorld();
  await world.writeKubeconfig(user);
  expect(await (await world.open()).call(call, signal)).toMatchObject({ status: 200 });
  expect(world.headers()).toEqual(["Bearer first-token"]);
});

test("a kubeconfig's client certificate and key are shown, a name and password too", async () => {
  const world = await createWorld();
  const { cert, key } = world.server.issueClient("podplug");
  const inline = (pem: string): string => Buffer.from(pem).toString("base64");
  await world.writeKubeconfig({
    "client-certificate-data": inline(cert),
    "client-key-data": inline(key),
    username: "me",
    password: "secret",
  });
  const { session } = await createKubeAccess({ kind: "kubeconfig", path: world.kubeconfig });
  const { agent, headers } = await session();
  expect(agent.options).toMatchObject({ cert, key, ca: world.server.authority });
  expect(headers).toEqual({ Authorization: `Basic ${inline("me:secret")}` });
});

test("a token that was rotated is read anew when the old one is refused, from either file", async () => {
  const world = await createWorld();
  const rotate = (token: string): void => {
    world.server.tokens.clear();
    world.server.tokens.add(token);
  };
  await world.writeKubeconfig({ token: "first-token" });
  const client = await world.open();
  await client.call(call, signal);
  await world.writeKubeconfig({ token: "second-token" });
  rotate("second-token");
  expect(await client.call(call, signal)).toMatchObject({ status: 200 });
  await world.setToken("third-token");
  await world.writeKubeconfig({ tokenFile: "token" });
  rotate("third-token");
  expect(await client.call(call, signal)).toMatchObject({ status: 200 });
});

test("a token that stays refused is PRIVILEGE_MISSING, asked for twice, and not in the message", async () => {
  const world = await createWorld();
  world.server.tokens.clear();
  const thrown: unknown = await world.client.call(call, signal).catch((error: unknown) => error);
  expect(thrown).toEqual(failure("PRIVILEGE_MISSING", "getting pod demo/web: the API server answered 401"));
  expect(JSON.stringify(thrown)).not.toContain("first-token");
  expect(world.headers()).toHaveLength(2);
});

test("a token file that is empty, missing or no token for a moment is UNREACHABLE, then works again", async () => {
  const world = await createWorld();
  await world.writeKubeconfig({ tokenFile: "token" });
  const client = await world.open();
  for (const broken of ["\n", "se\u0000cret"]) {
    await world.setToken(broken);
    const thrown: unknown = await client.call(call, signal).catch((error: unknown) => error);
    expect(thrown).toEqual(failure("UNREACHABLE", "can't use kubeconfig"));
    expect(String(thrown)).not.toContain("cret");
  }
  await rm(join(world.directory, "token"));
  await expect(client.call(call, signal)).rejects.toEqual(failure("UNREACHABLE", "ENOENT"));
  await world.setToken("first-token");
  expect(await client.call(call, signal)).toMatchObject({ status: 200 });
});

test("a server whose certificate another authority signed is never spoken to", async () => {
  const world = await createWorld();
  await writeFile(join(world.directory, "ca.crt"), createAuthority("another").cert);
  await expect(world.client.call(call, signal)).rejects.toEqual(failure("UNREACHABLE"));
  expect(world.headers()).toEqual([]);
});

test("an authority that changed is used for the next connection", async () => {
  const world = await createWorld();
  await world.client.call(call, signal);
  await writeFile(join(world.directory, "ca.crt"), `${world.server.authority}\n`);
  await world.client.call(call, signal);
  expect(world.server.connections).toBe(2);
});

test.each([
  ["can't be read", undefined, "ENOENT"],
  ["isn't https", { server: "http://127.0.0.1:1" }, "isn't https"],
  ["needs a proxy", { "proxy-url": "http://127.0.0.1:1" }, "proxy-url isn't supported"],
])("a kubeconfig that %s is INVALID_CONFIGURATION", async (_what, cluster, words) => {
  const world = await createWorld();
  if (cluster) await world.writeKubeconfig({ token: "first-token" }, cluster);
  await expect(world.open()).rejects.toEqual(failure("INVALID_CONFIGURATION", words));
});

test.each(["", "[]", "{}", "current-context: x", "\t:", "users: [{name: 1}]"])(
  "a kubeconfig that is %j is INVALID_CONFIGURATION",
  async (text) => {
    const world = await createWorld();
    await writeFile(world.kubeconfig, text);
    await expect(world.open()).rejects.toEqual(failure("INVALID_CONFIGURATION", world.kubeconfig));
  },
);

test.each([
  [400, "INVALID_REQUEST"],
  [403, "PRIVILEGE_MISSING"],
  [404, "UNREACHABLE"],
  [422, "INVALID_REQUEST"],
  [429, "UNREACHABLE"],
  [500, "UNREACHABLE"],
] as const)(
  "an answer of %i that nobody expects is %s, with what the server said",
  async (status, reason) => {
    const { client, server } = await createWorld();
    server.trick(/./, (_request, response) => {
      response.setHeader("retry-after", "7");
      sendStatus(response, status, "because");
    });
    const thrown: unknown = await client.call(call, signal).catch((error: unknown) => error);
    expect(thrown).toEqual(failure(reason, "because"));
    expect(thrown).toMatchObject({ retryAfterMs: 7_000 });
  },
);

test("an answer that is too large, no JSON or cut off is UNREACHABLE", async () => {
  const { client, server } = await createWorld({ maxBytes: 1_000 });
  for (const body of ["{", `"${"x".repeat(1_000)}"`]) {
    server.trick(/./, (_request, response) => {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(body);
    });
    await expect(client.call(call, signal)).rejects.toEqual(failure("UNREACHABLE"));
  }
  server.trick(/./, (_request, response) => {
    response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
    response.write("{}", () => response.destroy());
  });
  await expect(client.call(call, signal)).rejects.toEqual(failure("UNREACHABLE"));
});

test("a kept connection that the server has closed meanwhile is no failure", async () => {
  const { client, server } = await createWorld();
  for (let round = 0; round < 20; round += 1) {
    server.trick(/./, (request, response) => {
      response.writeHead(200, { "content-type": "application/json", connection: "keep-alive" });
      response.end("{}", () => setImmediate(() => request.socket.destroy()));
    });
    expect(await client.call(call, signal)).toMatchObject({ status: 200 });
    expect(await client.call(call, signal)).toMatchObject({ status: 200 });
  }
});

test("a caller that leaves stops waiting, and its deadline is its own", async () => {
  const { client, server } = await createWorld();
  server.trick(/./, () => undefined, 2);
  const leaving = new AbortController();
  const waiting = client.call(call, leaving.signal);
  leaving.abort();
  await expect(waiting).rejects.toEqual(failure("CANCELED"));
  await expect(client.call(call, AbortSignal.timeout(50))).rejects.toEqual(failure("DEADLINE_EXCEEDED"));
});

test("a context is chosen by its name, its namespace is the user's, and several files count as one", async () => {
  const world = await createWorld();
  await world.writeKubeconfig({ token: "first-token" });
  const more = join(world.directory, "more");
  const cluster = { server: world.server.url, "certificate-authority": "ca.crt" };
  await writeFile(
    more,
    JSON.stringify({
      "current-context": "there",
      contexts: [{ name: "there", context: { cluster: "d", user: "v", namespace: "demo" } }],
      clusters: [{ name: "d", cluster }],
      users: [
        { name: "v", user: { tokenFile: "token" } },
        { name: "u", user: { token: "unused" } },
      ],
    }),
  );
  const files = { kind: "kubeconfig", path: world.kubeconfig, others: [more] } as const;
  const first = await createKubeAccess(files);
  expect(first.namespace).toBe("default");
  expect((await first.session()).headers).toEqual({ Authorization: "Bearer first-token" });
  const there = await createKubeAccess({ ...files, context: "there" });
  expect(there.namespace).toBe("demo");
  expect((await there.session()).headers).toEqual({ Authorization: "Bearer first-token" });
  await expect(createKubeAccess({ ...files, context: "nowhere" })).rejects.toEqual(
    failure("INVALID_CONFIGURATION", "nowhere"),
  );
});
