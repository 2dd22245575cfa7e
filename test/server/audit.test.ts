import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { createAudit } from "../../src/server/audit.ts";
import { createStaticAuthorizer } from "../../src/server/auth/static-rules.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { clients, startTlsServer } from "./tls-server.ts";

const target = { kind: "pod", pod: { namespace: "demo", name: "web" } } as const;
const operator = clients.issue("operator", [], { organizations: ["vnf"] });
const rules = [
  { users: ["operator"], verbs: ["*"], resources: ["podnetworks", "network-attachment-definitions"] },
];
const who = {
  caller: "operator",
  groups: ["vnf"],
  authenticated: "client-certificate",
  remoteAddress: "127.0.0.1",
};
const durationMs = expect.any(Number) as number;

async function startAudited() {
  const started = await startTlsServer({ authorizer: createStaticAuthorizer(rules) });
  const client = await started.clientOf(operator);
  return { ...started, client, lines: () => started.audited.map(({ facts }) => facts) };
}

test("each change has a line: who, how known, what, on which pod, how it ended", async () => {
  const { client, lines, audited } = await startAudited();
  const network = { name: "net-a", namespace: "nets", interface: "net1" };
  const { interface: made } = await client.attach({ target, network }, signal);
  await client.attach({ target, network }, signal);
  await client.attach({ target, network: { name: "net-b" }, validateOnly: true }, signal);
  await client.detach({ which: { by: "id", attachmentId: made.attachmentId } }, signal);
  await client.detach({ target, which: { by: "interface", interface: "net1" } }, signal);
  const attached = {
    ...who,
    method: "AttachNetwork",
    pod: "demo/web",
    network: "nets/net-a",
    interface: "net1",
  };
  const detached = { ...who, method: "DetachNetwork", pod: "demo/web", interface: "net1", options: [] };
  const id = { attachmentId: made.attachmentId };
  expect(lines()).toMatchObject([
    { ...attached, ...id, outcome: "ATTACHED", durationMs },
    { ...attached, ...id, outcome: "PRESENT", durationMs },
    { method: "AttachNetwork", network: "demo/net-b", options: ["validateOnly"], outcome: "VALID" },
    { ...detached, ...id, outcome: "DETACHED", durationMs },
    { ...detached, outcome: "ABSENT", durationMs },
  ]);
  expect(new Set(audited.map(({ level, message }) => `${level} ${message}`))).toEqual(
    new Set(["info audit"]),
  );
});

test("looking has none", async () => {
  const { client, lines } = await startAudited();
  await client.list({}, signal);
  await client.list({ target }, signal);
  await client.info(signal);
  await client.check({ target, interface: "net7" }, signal).catch(() => undefined);
  for await (const _event of client.watch({}, signal)) break;
  expect(lines()).toEqual([]);
});

test("a change that fails has its reason, and nothing of what a plugin said", async () => {
  const { client, lines, node } = await startAudited();
  node.failNext(
    new PodplugError("PLUGIN_FAILED", "bridge failed with password hunter2", { details: "hunter2" }),
  );
  await client.attach({ target, network: { name: "net-a" } }, signal).catch(() => undefined);
  expect(lines()).toMatchObject([{ ...who, pod: "demo/web", network: "net-a", outcome: "PLUGIN_FAILED" }]);
  expect(JSON.stringify(lines())).not.toContain("hunter2");
});

test("each refusal has a line, whatever was asked for", async () => {
  const { clientOf, lines, client } = await startAudited();
  const stranger = await clientOf(clients.issue("stranger"));
  await stranger.list({ target }, signal).catch(() => undefined);
  await stranger.check({ target, interface: "net1" }, signal).catch(() => undefined);
  await Array.fromAsync(stranger.watch({ target }, signal)).catch(() => undefined);
  await client
    .attach({ target, network: { name: "net-a" }, owner: "annotation/npwg" }, signal)
    .catch(() => undefined);
  const denied = { caller: "stranger", pod: "demo/web", outcome: "DENIED" };
  expect(lines()).toMatchObject([
    {
      ...denied,
      method: "ListInterfaces",
      message: expect.stringContaining("stranger may not list") as string,
    },
    { ...denied, method: "CheckNetwork" },
    { ...denied, method: "WatchInterfaces" },
    { ...who, method: "AttachNetwork", outcome: "OWNER_RESERVED" },
  ]);
});

test("who isn't known has a line with the address, and no token", async () => {
  const { clientOf, lines } = await startAudited();
  const nobody = await clientOf(undefined, { token: "very.secret.token" });
  await nobody.info(signal).catch(() => undefined);
  expect(lines()).toMatchObject([
    { authenticated: "no", remoteAddress: "127.0.0.1", method: "GetNodeInfo", outcome: "UNAUTHENTICATED" },
  ]);
  expect(JSON.stringify(lines())).not.toContain("secret");
});

test("neither CNI arguments nor a configuration are told", async () => {
  const { client, lines } = await startAudited();
  await client.attach({ target, network: { name: "net-a", cniArgs: { key: "hunter2" } } }, signal);
  const config = '{"cniVersion":"1.0.0","name":"x","type":"bridge","password":"hunter2"}';
  await client.attach({ target, network: { config } }, signal).catch(() => undefined);
  expect(lines()).toMatchObject([{ outcome: "ATTACHED" }, { network: "inline", outcome: "DENIED" }]);
  expect(JSON.stringify(lines())).not.toContain("hunter2");
});

test("an adoption in vain has none, as the controller asks at each look into the pod", async () => {
  const log = createRecordingLog();
  const node = createFakeNode();
  const audited = createAudit(log).of(node.apiFor({ name: "controller", reconciler: true }), {});
  const network = { name: "net-a", interface: "net1" };
  node.failNext(new PodplugError("NOT_ADOPTABLE", "no cache tells of it"));
  await expect(audited.attach({ target, network, adopt: true }, signal)).rejects.toThrow("no cache");
  expect(log.lines).toEqual([]);
  node.failNext(new PodplugError("PLUGIN_FAILED", "no"));
  await expect(audited.attach({ target, network }, signal)).rejects.toThrow("no");
  expect(log.lines.map(({ facts }) => facts)).toMatchObject([{ outcome: "PLUGIN_FAILED" }]);
});
