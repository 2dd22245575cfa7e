import { createPrivateKey, sign } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNodeClient, type NodeClient, type NodeClientOptions } from "../../src/client/node-client.ts";
import type { NodeApi } from "../../src/domain/node-api.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { type Certificate, createAuthority } from "../support/certificates.ts";
import { failure } from "../support/failure.ts";
import { type ClusterAgent, startClusterAgent } from "./support/agent.ts";
import { eventually, run, useCluster } from "./support/cluster.ts";
import { podManifest, readyPod } from "./support/pods.ts";

const cluster = useCluster();
const examples = join(import.meta.dirname, "../../examples/rbac");
const server = createAuthority("podplug's authority");
const clients = createAuthority("clients' authority");
const stranger = createAuthority("somebody else");
/** Of examples/rbac. */
const namespace = "demo";
const target = { kind: "pod", pod: { namespace, name: "web" } } as const;

let agent: ClusterAgent;
let folder: string;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  for (const role of ["orchestrator", "namespace-admin", "reader"]) {
    await cluster.kubectl("apply", "-f", join(examples, `${role}.yaml`));
  }
  await eventually("the namespace's service account", () =>
    cluster.kubectl("-n", namespace, "get", "serviceaccount", "default"),
  );
  folder = await cluster.makeFolder();
  await serveWith(server.issue("lab", ["podplug.node", "127.0.0.1"]));
  await writeFile(join(folder, "clients.crt"), clients.cert);
  await writeFile(join(folder, "server-ca.crt"), server.cert);
  agent = cleanup.use(
    await startClusterAgent(cluster, {
      api: {
        listen: "127.0.0.1:0",
        tls: {
          certFile: join(folder, "tls.crt"),
          keyFile: join(folder, "tls.key"),
          clientCAFile: join(folder, "clients.crt"),
        },
        auth: { tokenReview: true },
      },
      config: { log: { level: "info", format: "json" } },
    }),
  );
  await cluster.apply(
    agent.bridgeDefinition(namespace, "data"),
    agent.bridgeDefinition("default", "shared", { capabilities: { portMappings: true } }),
    podManifest(namespace, "web"),
    podManifest("default", "door-other"),
  );
  await readyPod(cluster, namespace, "web");
  await readyPod(cluster, "default", "door-other");
});

afterAll(async () => {
  await cluster.kubectl("-n", namespace, "delete", "pod", "web", "--grace-period=1");
  await cluster.kubectl("-n", "default", "delete", "pod", "door-other", "--grace-period=1");
  await cleanup.disposeAsync();
  for (const role of ["orchestrator", "namespace-admin", "reader"]) {
    await cluster.kubectl("delete", "--ignore-not-found", "-f", join(examples, `${role}.yaml`));
  }
});

async function serveWith({ cert, key }: Certificate): Promise<void> {
  await writeFile(join(folder, "tls.key"), key);
  await writeFile(join(folder, "tls.crt"), cert);
}

function clientWith(credentials: Partial<NodeClientOptions>): NodeClient {
  const { port } = agent.program.addresses.tls ?? {};
  return createNodeClient({
    server: `https://127.0.0.1:${port}`,
    caFile: join(folder, "server-ca.crt"),
    ...credentials,
  });
}

let shown = 0;
async function certificate({ cert, key }: Certificate): Promise<Partial<NodeClientOptions>> {
  shown += 1;
  const file = join(folder, `client-${shown}`);
  await writeFile(`${file}.crt`, cert);
  await writeFile(`${file}.key`, key);
  return { clientCertFile: `${file}.crt`, clientKeyFile: `${file}.key` };
}

async function tokenOf(account: string, where: string, ...options: readonly string[]) {
  return { token: (await cluster.kubectl("create", "token", account, "-n", where, ...options)).trim() };
}

/** A token of the orchestrator's account that ended a minute ago, with the cluster's own signature. */
async function expiredToken(): Promise<{ token: string }> {
  const { token } = await tokenOf("orchestrator", "vnf", "--audience=podplug");
  const [head = "", body = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as object;
  const past = Math.floor(Date.now() / 1000) - 60;
  const payload = Buffer.from(JSON.stringify({ ...claims, iat: past - 600, nbf: past - 600, exp: past }));
  const text = `${head}.${payload.toString("base64url")}`;
  const key = createPrivateKey(await readFile("/run/podplug-cluster/pki/service-accounts.key"));
  const signature = sign("sha256", Buffer.from(text), { key, dsaEncoding: "ieee-p1363" });
  return { token: `${text}.${signature.toString("base64url")}` };
}

async function revokedToken(): Promise<{ token: string }> {
  await cluster.kubectl("-n", "vnf", "create", "serviceaccount", "gone");
  const made = await tokenOf("gone", "vnf", "--audience=podplug");
  await cluster.kubectl("-n", "vnf", "delete", "serviceaccount", "gone");
  return made;
}

type Call = (api: NodeApi) => Promise<unknown>;

/** In an order in which each can succeed. */
const calls: readonly (readonly [string, Call])[] = [
  ["AttachNetwork", (api) => api.attach({ target, network: { name: "data", interface: "net1" } }, signal)],
  ["CheckNetwork", (api) => api.check({ target, interface: "net1" }, signal)],
  ["ListInterfaces", (api) => api.list({ target }, signal)],
  [
    "WatchInterfaces",
    async (api) => {
      for await (const event of api.watch({ target }, signal)) return event;
      throw new Error("the watch ended without an event");
    },
  ],
  ["DetachNetwork", (api) => api.detach({ target, which: { by: "interface", interface: "net1" } }, signal)],
  ["GetNodeInfo", (api) => api.info(signal)],
];

const day = 86_400_000;
const strangers: readonly (readonly [string, () => Promise<Partial<NodeClientOptions>>])[] = [
  ["no credentials", async () => ({})],
  ["a token that nobody made", async () => ({ token: "made.up.token" })],
  ["a token for another audience", () => tokenOf("orchestrator", "vnf", "--audience=other")],
  ["a token for the API server", () => tokenOf("orchestrator", "vnf")],
  ["an expired token", expiredToken],
  ["a token of an account that is gone", revokedToken],
  ["a certificate of another authority", () => certificate(stranger.issue("alice"))],
  ["a certificate of the server's authority", () => certificate(server.issue("alice"))],
  [
    "an expired certificate",
    () => certificate(clients.issue("alice", [], { notAfter: new Date(Date.now() - day / 2) })),
  ],
];

describe.each(strangers)("with %s", (_what, credentials) => {
  test("every call is refused as of a stranger, and nothing changes", async () => {
    await using client = clientWith(await credentials());
    for (const [name, call] of calls) {
      await expect(call(client), name).rejects.toEqual(failure("UNAUTHENTICATED"));
    }
    expect(await agent.leases()).toEqual([]);
  });
});

describe.each([
  ["a token", () => tokenOf("orchestrator", "vnf", "--audience=podplug")],
  ["a certificate of a user with a role", () => certificate(clients.issue("alice"))],
])("with %s", (_what, credentials) => {
  test("every call that a role allows is served", async () => {
    await using client = clientWith(await credentials());
    for (const [name, call] of calls) await expect(call(client), name).resolves.not.toThrow();
    expect(await agent.leases()).toEqual([]);
  });
});

describe.each([
  ["a token of an account without a role", () => tokenOf("default", "vnf", "--audience=podplug")],
  ["a certificate of a user without a role", () => certificate(clients.issue("bob"))],
])("with %s", (_what, credentials) => {
  test("every call but about the node is denied, and nothing changes", async () => {
    await using client = clientWith(await credentials());
    for (const [name, call] of calls) {
      const answer = await call(client).catch((error: unknown) => error);
      const expected = name === "GetNodeInfo" ? { nodeName: "lab" } : { reason: "DENIED" };
      expect(answer, name).toMatchObject(expected);
    }
    expect(await agent.leases()).toEqual([]);
    expect(await client.list({}, signal)).toEqual([]);
  });
});

describe("the example roles", () => {
  const other = { kind: "pod", pod: { namespace: "default", name: "door-other" } } as const;

  test("let an orchestrator into every namespace, with definitions alone, and to its own attachments", async () => {
    await using client = clientWith(await tokenOf("orchestrator", "vnf", "--audience=podplug"));
    await client.attach({ target: other, network: { name: "shared", interface: "net1" } }, signal);
    await agent.client.attach({ target: other, network: { name: "shared", interface: "net2" } }, signal);
    const detach = (name: string, force: boolean) =>
      client.detach({ target: other, which: { by: "interface", interface: name }, force }, signal);
    await expect(detach("net2", false)).rejects.toEqual(failure("OWNED_BY_OTHER"));
    await expect(detach("net2", true)).rejects.toEqual(failure("DENIED", "podnetworks/force"));
    const inline = { config: '{"cniVersion":"1.0.0","name":"x","type":"bridge","bridge":"node0"}' };
    await expect(client.attach({ target: other, network: inline }, signal)).rejects.toEqual(
      failure("DENIED", "podnetworks/config"),
    );
    const mapped = { name: "shared", portMappings: [{ hostPort: 8080, containerPort: 80 }] };
    await expect(client.attach({ target: other, network: mapped }, signal)).rejects.toEqual(
      failure("DENIED", "podnetworks/hostports"),
    );
    const [listed] = (await client.list({ target: other }, signal)).filter(({ name }) => name === "net2");
    const netns = { kind: "netns", netns: listed?.netns ?? "" } as const;
    await expect(
      client.attach({ target: netns, network: { name: "shared", namespace: "default" } }, signal),
    ).rejects.toEqual(failure("DENIED", "static rules"));
    await detach("net1", false);
    await agent.client.detach({ target: other, which: { by: "interface", interface: "net2" } }, signal);
  });

  test("keep a namespace's administrator in it, with its networks, and whatever is plugged there", async () => {
    await using client = clientWith(await certificate(clients.issue("alice")));
    await expect(client.attach({ target: other, network: { name: "shared" } }, signal)).rejects.toEqual(
      failure("DENIED", "create podnetworks default/door-other"),
    );
    await expect(
      client.attach({ target, network: { name: "shared", namespace: "default" } }, signal),
    ).rejects.toEqual(failure("DENIED", "get network-attachment-definitions default/shared"));
    await agent.client.attach({ target, network: { name: "data", interface: "net1" } }, signal);
    const which = { by: "interface", interface: "net1" } as const;
    await expect(client.detach({ target, which }, signal)).rejects.toEqual(failure("OWNED_BY_OTHER"));
    expect((await client.detach({ target, which, force: true }, signal)).detached).toBe(true);
    const seen = await client.list({}, signal);
    expect(new Set(seen.map(({ pod }) => pod?.namespace))).toEqual(new Set([namespace]));
  });

  test("let a reader see everything and change nothing", async () => {
    const reader = clients.issue("carol", [], { organizations: ["podplug-readers"] });
    await using client = clientWith(await certificate(reader));
    const seen = await client.list({}, signal);
    expect(seen.map(({ pod }) => pod?.namespace)).toEqual(expect.arrayContaining([namespace, "default"]));
    await expect(client.attach({ target, network: { name: "data" } }, signal)).rejects.toEqual(
      failure("DENIED"),
    );
  });
});

test("the command line lists over TLS with a token's file and the name that all nodes share", async () => {
  const { port } = agent.program.addresses.tls ?? {};
  const { token } = await tokenOf("orchestrator", "vnf", "--audience=podplug");
  await writeFile(join(folder, "token"), token);
  const podplug = join(import.meta.dirname, "../../bin/podplug");
  const address = `--server https://127.0.0.1:${port} --tls-server-name podplug.node`;
  const credentials = `--ca ${join(folder, "server-ca.crt")} --token-file ${join(folder, "token")}`;
  const listed = await run(podplug, `list -A ${address} ${credentials}`.split(" "));
  expect(listed).toMatch(/^demo\/web\s+eth0/m);
});

test("certificates are rotated under load without a failed call", async () => {
  const credentials = await tokenOf("orchestrator", "vnf", "--audience=podplug");
  const ended = new AbortController();
  let done = 0;
  const caller = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await using client = clientWith(credentials);
      for (let each = 0; each < 5; each += 1) await client.list({ target }, signal);
      done += 5;
    }
  };
  const callers = [caller(), caller(), caller()];
  for (let count = 1; count <= 2; count += 1) {
    await serveWith(server.issue(`lab-${count}`, ["127.0.0.1"]));
    const isUsed = () =>
      agent.program.log().filter(({ message }) => message === "TLS files changed and are in use").length ===
      count;
    await eventually("the new certificate is used", async () => (isUsed() ? true : undefined));
  }
  ended.abort();
  await Promise.all(callers);
  expect(done).toBeGreaterThan(50);
});
