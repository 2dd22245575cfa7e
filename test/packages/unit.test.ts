import { once } from "node:events";
import { chmod, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../server/eventually.ts";
import { createAuthority } from "../support/certificates.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { configure, linkOf, packages, run, unit } from "./machine.ts";

/*
 * What systemd makes of the units, when things go on or wrong.
 */

let pod: TestNetns;

/** A plugin whose ADD runs these lines, and makes nothing. */
async function writePlugin(name: string, onAdd: string): Promise<string> {
  await mkdir("/opt/cni/bin", { recursive: true });
  await writeFile(
    `/opt/cni/bin/${name}`,
    `#!/bin/sh\n[ "$CNI_COMMAND" = ADD ] || exit 0\n${onAdd}\necho '{"cniVersion":"1.0.0"}'\n`,
  );
  await chmod(`/opt/cni/bin/${name}`, 0o755);
  const network = `/etc/podplug/networks.d/${name}.conflist`;
  await writeFile(network, JSON.stringify({ cniVersion: "1.0.0", name, plugins: [{ type: name }] }));
  return name;
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

beforeAll(async () => {
  await run("dpkg", "--install", packages.deb);
  await configure();
  pod = await makeNetns();
});
afterAll(async () => {
  await run("dpkg", "--purge", "podplug");
  await run("rm", "-rf", "/etc/podplug", "/var/lib/podplug", "/run/podplug", "/opt/cni");
  await pod[Symbol.asyncDispose]();
});

test("an agent that is killed is started again, with what was plugged", async () => {
  await run("podplug", "attach", "--netns", pod.name, "blue", "--interface", "data0");
  const attached = await linkOf(pod, "data0");
  await run("kill", "-KILL", await unit("MainPID"));
  await eventually(
    async () => (await unit("NRestarts")) === "1" && (await unit("ActiveState")) === "active",
    "another agent serves",
  );
  expect(attached).toBeDefined();
  expect(await linkOf(pod, "data0")).toEqual(attached);
  await run("podplug", "detach", "--netns", pod.name, "blue");
});

test("at a stop the plugin that is under way finishes", async () => {
  await run("mkfifo", "/tmp/gate");
  const network = await writePlugin("slow", "touch /tmp/begun; read -r go </tmp/gate; touch /tmp/finished");
  const attaching = run("podplug", "attach", "--netns", pod.name, network);
  await eventually(() => exists("/tmp/begun"), "the plugin runs");
  const stopping = run("systemctl", "stop", "podplug.service");
  await eventually(async () => (await unit("ActiveState")) === "deactivating", "the agent was told to stop");
  expect(await exists("/tmp/finished")).toBe(false);
  await writeFile("/tmp/gate", "go\n");
  await stopping;
  expect(await exists("/tmp/finished")).toBe(true);
  await attaching;
  expect(await unit("Result")).toBe("success");
  await run("systemctl", "start", "podplug.service");
  await run("podplug", "detach", "--netns", pod.name, network);
});

test("what a plugin keeps running on purpose outlives the agent", async () => {
  const network = await writePlugin("keeping", "setsid sleep infinity >/dev/null 2>&1 & echo $! >/tmp/kept");
  await run("podplug", "attach", "--netns", pod.name, network);
  const kept = (await readFile("/tmp/kept", "utf8")).trim();
  await run("systemctl", "restart", "podplug.service");
  expect(await exists(`/proc/${kept}`)).toBe(true);
  await run("podplug", "detach", "--netns", pod.name, network);
  await run("kill", kept);
});

test("what podplug's own plugin counts in /run outlives the agent", async () => {
  await mkdir("/run/podplug/uplinks/1-bridge", { recursive: true });
  await writeFile("/run/podplug/uplinks/1-bridge/user", "");
  await run("systemctl", "restart", "podplug.service");
  expect(await exists("/run/podplug/uplinks/1-bridge/user")).toBe(true);
});

test("a configuration that can't be used is told once, and not tried again", async () => {
  await writeFile("/etc/podplug/config.yaml", "runtime: neither\n");
  await expect(run("systemctl", "restart", "podplug.service")).rejects.toThrow();
  expect(await unit("ActiveState")).toBe("failed");
  expect(await unit("NRestarts")).toBe("0");
  const log = () => run("journalctl", "--unit", "podplug", "--lines", "20");
  await eventually(async () => (await log()).includes("runtime: "), "the fault is told");
  await configure();
});

test("the token's unit renews it under its restrictions, on behalf of its timer", async () => {
  const authority = createAuthority();
  const asked: unknown[] = [];
  const server = createServer(authority.issue("api", ["127.0.0.1"]), (request, response) => {
    void text(request).then((body) => {
      asked.push([request.url, request.headers.authorization, JSON.parse(body)]);
      response.end(JSON.stringify({ status: { token: "second.token" } }));
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const write = (name: string, content: string): Promise<void> =>
    writeFile(`/etc/podplug/${name}`, content, { mode: 0o600 });
  await write("kubeconfig", `clusters:\n  - cluster:\n      server: https://127.0.0.1:${port}\n`);
  await write("ca.crt", authority.cert);
  await write("token", "first.token");
  await write("token-request.json", '{"kind":"TokenRequest"}');

  await run("systemctl", "start", "podplug-token.service");
  expect((await readFile("/etc/podplug/token", "utf8")).trim()).toBe("second.token");
  expect((await stat("/etc/podplug/token")).mode & 0o777).toBe(0o600);
  expect(asked).toEqual([
    [
      "/api/v1/namespaces/podplug/serviceaccounts/podplug-agent/token",
      "Bearer first.token",
      { kind: "TokenRequest" },
    ],
  ]);
  await run("systemctl", "enable", "--now", "podplug-token.timer");
  expect(await run("systemctl", "list-timers", "podplug-token.timer")).toContain("podplug-token.service");
  server.close();
});
