import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { controllerKeyFile, keepControllerKey } from "../../src/agent/controller-key.ts";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { readableLog, startAgentProgram } from "./agent-program.ts";

test("the server without its controller serves, and knows a controller by the key in its state directory", async () => {
  await using node = await makeNode({ config: readableLog });
  await using netns = await makeNetns("halves");
  await using server = await startAgentProgram(node.configFile, [], ["server"]);
  const address = `unix://${node.socket}`;
  const request = {
    target: { kind: "netns", netns: netns.path },
    network: { name: "blue", interface: "net1" },
    owner: "annotation/npwg",
  } as const;
  await using anybody = createNodeClient({ server: address });
  await expect(anybody.attach(request, neverAborted)).rejects.toMatchObject({ reason: "OWNER_RESERVED" });
  await using controller = createNodeClient({
    server: address,
    controllerKeyFile: controllerKeyFile(node.stateDir),
  });
  const { interface: made } = await controller.attach(request, neverAborted);
  expect(made.owner).toBe("annotation/npwg");
  const which = { by: "interface", interface: "net1" } as const;
  await expect(anybody.detach({ target: request.target, which }, neverAborted)).rejects.toMatchObject({
    reason: "OWNED_BY_OTHER",
  });
  expect(await controller.detach({ target: request.target, which }, neverAborted)).toMatchObject({
    detached: true,
  });
  server.kill("SIGTERM");
  expect((await server.ended).code).toBe(0);
});

test("the controller's key outlives restarts, is its user's alone, and is made anew when damaged", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "podplug-key-"));
  onTestFinished(() => rm(stateDir, { recursive: true, force: true }));
  const key = await keepControllerKey(stateDir);
  const file = controllerKeyFile(stateDir);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(await keepControllerKey(stateDir)).toBe(key);
  await writeFile(file, "");
  const next = await keepControllerKey(stateDir);
  expect(next).toMatch(/^[0-9a-f]{64}$/);
  expect(next).not.toBe(key);
  expect((await readFile(file, "utf8")).trim()).toBe(next);
  expect(await readdir(stateDir)).toEqual(["controller.key"]);
});

test.each([
  ["unix:///run/podplug/podplug.sock", "there is no way to an API server"],
  ["https://node:7654", "Unix socket only"],
])("a controller that can't begin with server %s says why, with exit code 2", async (server, why) => {
  await using node = await makeNode();
  const podplug = join(import.meta.dirname, "../../bin/podplug");
  const args = ["controller", "--config", node.configFile, "--server", server];
  const { promise, resolve } = Promise.withResolvers<{ code: unknown; stderr: string }>();
  const env = { ...process.env, KUBERNETES_SERVICE_HOST: "" };
  execFile(podplug, args, { env }, (error, _stdout, stderr) => resolve({ code: error?.code, stderr }));
  const { code, stderr } = await promise;
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(why) as string });
  expect(stderr).toContain("podplug controller: ");
});
