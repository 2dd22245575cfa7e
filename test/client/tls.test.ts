import { writeFileSync } from "node:fs";
import { createSecureServer, type SecureServerOptions } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, onTestFinished, test } from "vitest";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { createNodeClient, type NodeClientOptions } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { makeDirectory } from "../server/started-server.ts";
import { createAuthority } from "../support/certificates.ts";

const authority = createAuthority();
const stranger = createAuthority("somebody else");

/** An agent's TLS port, as far as a client sees it; `seen` is who came, with which token. */
async function startTls(options: SecureServerOptions) {
  const seen: { readonly token: string | null; readonly client: string | undefined }[] = [];
  const directory = await makeDirectory();
  const server = createSecureServer(
    options,
    connectNodeAdapter({
      routes: (router) => {
        router.rpc(NodeService.method.getNodeInfo, (_request, { requestHeader }) => {
          seen.push({ token: requestHeader.get("authorization"), client: subjects.at(-1) });
          return { nodeName: "node-1" };
        });
      },
    }),
  );
  const subjects: (string | undefined)[] = [];
  server.on("secureConnection", (socket: TLSSocket) => {
    const { subject } = socket.getPeerCertificate();
    subjects.push(subject?.CN?.toString());
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.close();
  });
  const file = (name: string, text: string): string => {
    const path = join(directory, name);
    writeFileSync(path, text);
    return path;
  };
  const info = async (client: Partial<NodeClientOptions> = {}) => {
    await using api = createNodeClient({
      server: `https://127.0.0.1:${port}`,
      caFile: file("ca.crt", authority.cert),
      ...client,
    });
    return await api.info(neverAborted);
  };
  return { seen, file, info, port };
}

const byAddress = authority.issue("node-1", ["127.0.0.1"]);
const byName = authority.issue("node-1", ["node-1.example.org"]);

test("the agent's certificate is checked against the authority and the address", async () => {
  const { info, file } = await startTls(byAddress);
  expect(await info()).toMatchObject({ nodeName: "node-1" });
  await expect(info({ caFile: undefined })).rejects.toMatchObject({
    reason: "UNREACHABLE",
    message: expect.stringContaining("can't be trusted") as string,
  });
  await expect(info({ caFile: file("other.crt", stranger.cert) })).rejects.toMatchObject({
    reason: "UNREACHABLE",
  });
  await expect(info({ caFile: "/nonexistent.crt" })).rejects.toMatchObject({
    reason: "INVALID_CONFIGURATION",
    message: expect.stringContaining("/nonexistent.crt") as string,
  });
});

test("another name than the address' is accepted when it is the one asked for", async () => {
  const { info } = await startTls(byName);
  await expect(info()).rejects.toMatchObject({
    reason: "UNREACHABLE",
    message: expect.stringContaining("--tls-server-name") as string,
  });
  expect(await info({ tlsServerName: "node-1.example.org" })).toMatchObject({ nodeName: "node-1" });
  await expect(info({ tlsServerName: "node-2.example.org" })).rejects.toMatchObject({
    reason: "UNREACHABLE",
  });
});

test("a client certificate is shown to an agent that asks for one", async () => {
  const { info, file, seen } = await startTls({ ...byAddress, ca: authority.cert, requestCert: true });
  const mine = authority.issue("vnf-orchestrator");
  await info({ clientCertFile: file("me.crt", mine.cert), clientKeyFile: file("me.key", mine.key) });
  expect(seen).toMatchObject([{ client: "vnf-orchestrator" }]);
  await expect(info()).rejects.toMatchObject({
    kind: expect.stringMatching(/unauthenticated|unavailable/) as string,
  });
});

test("the token is read from its file at each call, and never told", async () => {
  const { seen, file, port } = await startTls(byAddress);
  const tokenFile = file("token", "first\n");
  await using api = createNodeClient({
    server: `https://127.0.0.1:${port}`,
    caFile: file("ca.crt", authority.cert),
    tokenFile,
  });
  await api.info(neverAborted);
  file("token", "second\n");
  await api.info(neverAborted);
  expect(seen.map(({ token }) => token)).toEqual(["Bearer first", "Bearer second"]);
  file("token", "sec\nret");
  const error: unknown = await api.info(neverAborted).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    reason: "INVALID_CONFIGURATION",
    message: `token file ${tokenFile} holds no token`,
  });
  expect(JSON.stringify(error)).not.toContain('ret"');
  await expect(
    createNodeClient({ server: `https://127.0.0.1:${port}`, tokenFile: "/nonexistent" }).info(neverAborted),
  ).rejects.toMatchObject({ reason: "INVALID_CONFIGURATION" });
});

test("an agent without HTTP/2, or without TLS, is said not to be one", async () => {
  const { createServer } = await import("node:https");
  const old = createServer(byAddress);
  const { promise, resolve } = Promise.withResolvers<void>();
  old.listen(0, "127.0.0.1", resolve);
  await promise;
  onTestFinished(() => {
    old.close();
  });
  const { file } = await startTls(byAddress);
  const api = createNodeClient({
    server: `https://127.0.0.1:${(old.address() as AddressInfo).port}`,
    caFile: file("ca.crt", authority.cert),
  });
  await expect(api.info(neverAborted)).rejects.toMatchObject({ reason: "UNREACHABLE" });
});
