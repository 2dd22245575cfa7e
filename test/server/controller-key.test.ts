import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { type Started, startTestServer } from "./started-server.ts";

const key = "ab".repeat(32);

function clientOf({ socketPath }: Started, controllerKeyFile: string) {
  const client = createNodeClient({ server: `unix://${socketPath}`, controllerKeyFile });
  onTestFinished(() => client.close());
  return client;
}

test("who shows the controller's key on the socket is a reconciler, as the file says at each call", async () => {
  const started = await startTestServer({}, key);
  const file = join(started.directory, "controller.key");
  const client = clientOf(started, file);
  await expect(client.info(neverAborted)).rejects.toMatchObject({ reason: "UNREACHABLE" });
  await writeFile(file, `${"0".repeat(64)}\n`);
  await expect(client.info(neverAborted)).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  await writeFile(file, `${key}\n`);
  await client.info(neverAborted);
  await rm(file);
  await expect(client.info(neverAborted)).rejects.toMatchObject({ reason: "UNREACHABLE" });
  expect(started.node.callers).toEqual([{ name: "controller", reconciler: true }]);
  expect(JSON.stringify(started.logged)).not.toContain(key);
});

test("a server that has no key takes none, and on a TCP port a key says nothing", async () => {
  const started = await startTestServer();
  const file = join(started.directory, "controller.key");
  await writeFile(file, key);
  await expect(clientOf(started, file).info(neverAborted)).rejects.toMatchObject({
    reason: "UNAUTHENTICATED",
  });
  const keyed = await startTestServer({}, key);
  const headers = { "content-type": "application/json", "podplug-controller-key": key };
  const answer = await fetch(`${keyed.url}/podplug.v1.NodeService/GetNodeInfo`, {
    method: "POST",
    headers,
    body: "{}",
  });
  expect(answer.status).toBe(200);
  expect(keyed.node.callers).toEqual([{ name: "anonymous", reconciler: false }]);
});

test("the key leaves the controller's process by a Unix socket only", () => {
  for (const server of ["http://127.0.0.1:7654", "https://node:7654"]) {
    expect(() => createNodeClient({ server, controllerKeyFile: "/k" })).toThrow(
      expect.objectContaining({ reason: "INVALID_CONFIGURATION" }),
    );
  }
});

test("the bound on one caller's calls is not the controller's", async () => {
  const started = await startTestServer({ inFlightPerCaller: 1 }, key);
  const file = join(started.directory, "controller.key");
  await writeFile(file, key);
  const client = clientOf(started, file);
  const watching = new AbortController();
  const events = client.watch({}, watching.signal)[Symbol.asyncIterator]();
  await events.next();
  await client.info(neverAborted);
  watching.abort();
  await events.return?.();
});
