import { lstat } from "node:fs/promises";
import { expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { readableLog, runAgentProgram, startAgentProgram, toldOf } from "./agent-program.ts";
import { addWaitingPlugin } from "./waiting-plugin.ts";

test.each(["SIGTERM", "SIGINT"] as const)(
  "after %s a running change ends well and is answered, watchers are told, and nothing new begins",
  async (signal) => {
    await using plugins = await makePluginDirectory();
    const plugin = await addWaitingPlugin(plugins);
    await using node = await makeNode({ binDirs: [plugins.path], config: readableLog });
    await node.defineNetwork("slow", [node.bridgePlugin(), { type: "waiting" }]);
    await using netns = await makeNetns("stop");
    const target = { kind: "netns", netns: netns.path } as const;
    await using client = createNodeClient({ server: `unix://${node.socket}` });
    const program = await startAgentProgram(node.configFile);
    await using _ = program;

    const events: string[] = [];
    const watching = (async () => {
      for await (const event of client.watch({ target }, neverAborted)) events.push(event.kind);
    })().catch((error: unknown) => error);
    await eventually(() => events.includes("synced"), "the watcher is synced");
    const attaching = client.attach({ target, network: { name: "slow", interface: "net1" } }, neverAborted);
    await plugin.begun();

    program.kill(signal);
    expect(await watching).toEqual(failure("AGENT_STOPPING"));
    const again = { target, network: { name: "blue", interface: "net2" } };
    await expect(client.attach(again, neverAborted)).rejects.toMatchObject({ kind: "unavailable" });
    await using late = createNodeClient({ server: `unix://${node.socket}` });
    await expect(late.list({}, neverAborted)).rejects.toMatchObject({ kind: "unavailable" });

    await plugin.letGo();
    const { created, interface: attached } = await attaching;
    expect({ created, name: attached.name, state: attached.state }).toEqual({
      created: true,
      name: "net1",
      state: "attached",
    });
    expect(await program.ended).toMatchObject({ code: 0, signal: null });
    await expect(lstat(node.socket)).rejects.toMatchObject({ code: "ENOENT" });

    await using _next = await startAgentProgram(node.configFile);
    expect(await client.list({ target }, neverAborted)).toEqual([attached]);
    expect(await node.leases()).toHaveLength(1);
  },
);

test("a second agent on the same state directory is refused, and the first one goes on", async () => {
  await using node = await makeNode({ config: readableLog });
  await using other = await makeNode({ config: { ...readableLog, stateDir: node.stateDir } });
  await using program = await startAgentProgram(node.configFile);
  expect(await runAgentProgram(other.configFile)).toEqual({
    code: 2,
    signal: null,
    stderr: toldOf("INVALID_CONFIGURATION", `another agent is running on stateDir ${node.stateDir}`),
  });
  await expect(lstat(other.socket)).rejects.toMatchObject({ code: "ENOENT" });
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  await client.info(neverAborted);
  expect(program.log().filter(({ level }) => level !== "info")).toEqual([]);
});

test("a second agent on the same socket is refused, and the first one goes on", async () => {
  await using node = await makeNode({ config: readableLog });
  await using other = await makeNode({ config: { ...readableLog, api: { socket: node.socket } } });
  await using _program = await startAgentProgram(node.configFile);
  expect(await runAgentProgram(other.configFile)).toEqual({
    code: 2,
    signal: null,
    stderr: toldOf(
      "INVALID_CONFIGURATION",
      `can't listen on socket ${node.socket}, it is in use by another process`,
    ),
  });
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  await client.info(neverAborted);
});

test("the socket of an agent that was killed is replaced", async () => {
  await using node = await makeNode({ config: readableLog });
  const killed = await startAgentProgram(node.configFile);
  killed.kill("SIGKILL");
  expect(await killed.ended).toMatchObject({ signal: "SIGKILL" });
  expect((await lstat(node.socket)).isSocket()).toBe(true);
  await using _next = await startAgentProgram(node.configFile);
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  await client.info(neverAborted);
});
