import { chmodSync } from "node:fs";
import { constants } from "node:os";
import { expect, test } from "vitest";
import { parse } from "yaml";
import packageJson from "../../package.json" with { type: "json" };
import { eventually } from "../server/eventually.ts";
import { run, startTestServer } from "../server/started-server.ts";
import { podplug, root, startOnTerminal, startPodplug } from "./cli-process.ts";

async function startNode() {
  const started = await startTestServer();
  return { ...started, env: { PODPLUG_SERVER: `unix://${started.socketPath}` } };
}

test("the program attaches, lists, checks and detaches by the agent's socket", async () => {
  const { env } = await startNode();
  const attached = await podplug(["attach", "demo/web", "net-a", "-o", "json"], { env });
  expect({ code: attached.code, stderr: attached.stderr }).toEqual({ code: 0, stderr: "" });
  expect(JSON.parse(attached.stdout)).toMatchObject({
    created: true,
    interface: { name: "net1", owner: "unix-socket" },
  });
  expect((await podplug(["list", "-A"], { env })).stdout).toMatch(/^POD\/NETNS .*\ndemo\/web +net1 .*\n$/);
  expect(parse((await podplug(["list", "-n", "demo", "-o", "yaml"], { env })).stdout)).toMatchObject({
    interfaces: [{ name: "net1" }],
  });
  expect((await podplug(["check", "demo/web"], { env })).code).toBe(0);
  expect((await podplug(["detach", "demo/web", "net-a"], { env })).stdout).toBe(
    "detached net1 (demo/net-a) from demo/web\n",
  );
});

test("the program reaches the agent's loopback port, and reads a configuration from standard input", async () => {
  const { url } = await startNode();
  const args = ["attach", "demo/web", "--config-file", "-", "--server", url, "-o", "json"];
  const { code, stdout } = await podplug(args, { stdin: '{"name": "x", "type": "bridge"}' });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    interface: { owner: "anonymous", selection: { config: expect.any(String) as string } },
  });
});

test.each([
  [2, ["attach", "demo/web"]],
  [2, ["attach", "demo/web", "net-a", "--ip", "nonsense"]],
  [3, ["attach", "demo/nope", "net-a"]],
  [3, ["attach", "demo/web", "nope"]],
  [5, ["list", "--server", "unix:///nonexistent/podplug.sock"]],
  [0, ["--version"]],
  [0, ["attach", "--help"]],
])("the exit code is %i for podplug %j", async (code, args) => {
  const { env } = await startNode();
  expect((await podplug(args, { env })).code).toBe(code);
});

test("version and help go to standard output", async () => {
  expect(await podplug(["--version"])).toEqual({ code: 0, stdout: `${packageJson.version}\n`, stderr: "" });
  const { stdout, stderr } = await podplug(["help", "attach"]);
  expect(stderr).toBe("");
  expect(stdout).toContain("Examples:");
});

test("a socket that the user may not open is DENIED, with what to do", async () => {
  const { socketPath, env } = await startNode();
  chmodSync(socketPath, 0);
  // Root opens anything, but for these capabilities.
  const unprivileged =
    process.getuid?.() === 0 ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] : ["env"];
  const [command = "", ...args] = [
    ...unprivileged,
    "env",
    ...Object.entries(env).map(([key, value]) => `${key}=${value}`),
  ];
  const { code, stderr } = await run(
    command,
    [...args, process.execPath, `${root}/src/main.ts`, "list"],
    root,
  );
  expect(code).toBe(4);
  expect(stderr).toContain("DENIED");
  expect(stderr).toContain("run as root, or as a member of the socket's group");
});

test("Ctrl-C during a change ends with 130, having said that the change goes on", async () => {
  const { node, env } = await startNode();
  node.pause();
  const { process: child, ended } = startPodplug(["attach", "demo/web", "net-a"], { env });
  await eventually(() => node.waiting === 1, "the call has begun");
  child.kill("SIGINT");
  expect(await ended).toEqual({
    code: 130,
    stdout: "",
    stderr:
      "podplug attach: interrupted; a change that had begun goes on, and podplug list shows how it ends\n",
  });
});

test("watch goes on until it is told to end, and then leaves nothing behind on the node", async () => {
  const { node, env } = await startNode();
  const watching = startPodplug(["watch", "-A", "-o", "json"], { env });
  await eventually(() => watching.stdout().includes("KIND_SYNCED"), "the watcher is synced");
  await podplug(["attach", "demo/web", "net-a"], { env });
  await eventually(() => watching.stdout().includes("KIND_ATTACHED"), "the change is shown");
  watching.process.kill("SIGTERM");
  const { code, stderr } = await watching.ended;
  expect({ code, stderr }).toEqual({ code: 128 + constants.signals.SIGTERM, stderr: "" });
  await eventually(() => node.watching === 0, "the watcher has gone");
});

test("a watch whose reader has left ends by itself", async () => {
  const { node, env } = await startNode();
  const watching = startPodplug(["watch", "-A", "-o", "json"], { env });
  await eventually(() => watching.stdout().includes("KIND_SYNCED"), "the watcher is synced");
  watching.process.stdout?.destroy();
  await podplug(["attach", "demo/web", "net-a"], { env });
  const { code, stderr } = await watching.ended;
  expect({ code, stderr }).toEqual({ code: 128 + constants.signals.SIGPIPE, stderr: "" });
  await eventually(() => node.watching === 0, "the watcher has gone");
});

test("on a terminal there are colours, and a long change is told while it lasts", async () => {
  const { node, env } = await startNode();
  node.pause();
  const attaching = startOnTerminal(["attach", "demo/web", "net-a"], { env: { ...env, TERM: "xterm" } });
  await eventually(
    () => /attaching net-a to pod demo\/web … ([2-9]|\d\d) s/.test(attaching.stdout()),
    "it is told",
  );
  node.resume();
  const { code, stdout } = await attaching.ended;
  expect(code).toBe(0);
  expect(stdout).toContain("\u001b[32mattached\u001b[39m");
  // Erased before the answer is shown.
  expect(stdout.split("\r\u001b[2K").at(-1)).toMatch(/POD.NETNS/);
});
