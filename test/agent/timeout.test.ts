import { expect, test } from "vitest";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import {
  fails,
  hangs,
  leavesChild,
  leavesDaemon,
  makePluginDirectory,
} from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";
import { addWaitingPlugin } from "./waiting-plugin.ts";

/** Long enough for the plugins that don't hang, also on a machine that is busy with something else. */
const soon = { cni: { timeoutSeconds: 10 } };

test("a plugin that hangs is ended with all it started, and what came before it is undone", async () => {
  await using plugins = await makePluginDirectory();
  await plugins.add("hanging", { ADD: [leavesChild(), leavesDaemon(), hangs()] });
  await using node = await makeNode({ binDirs: [plugins.path], config: soon });
  await node.defineNetwork("hanging", [node.bridgePlugin(), { type: "hanging" }]);
  await using netns = await makeNetns("timeout");
  await using here = await startAgentHere(node);
  const target = { kind: "netns", netns: netns.path } as const;
  const network = { name: "hanging", interface: "net1" };

  await expect(here.client.attach({ target, network }, neverAborted)).rejects.toEqual(
    failure("PLUGIN_TIMEOUT", "hanging"),
  );
  expect(await plugins.order()).toEqual(["hanging ADD", "hanging DEL"]);
  expect(await findMarkedProcesses(await node.markerPrefix())).toEqual([]);
  expect((await netns.ipJson<IpLink[]>("addr")).map((link) => link.ifname)).toEqual(["lo"]);
  expect(await node.hostEnds()).toEqual([]);
  expect(await node.leases()).toEqual([]);
  expect(await node.journalFiles()).toEqual([]);
});

test("a DEL that hangs is tried again until it succeeds, and the attachment is known meanwhile", async () => {
  await using plugins = await makePluginDirectory();
  await plugins.add("hanging", { DEL: [hangs()] });
  await using node = await makeNode({ binDirs: [plugins.path], config: soon });
  await node.defineNetwork("hanging", [node.bridgePlugin(), { type: "hanging" }]);
  await using netns = await makeNetns("timeout");
  await using here = await startAgentHere(node);
  const target = { kind: "netns", netns: netns.path } as const;
  await here.client.attach({ target, network: { name: "hanging", interface: "net1" } }, neverAborted);

  const which = { by: "interface", interface: "net1" } as const;
  await expect(here.client.detach({ target, which }, neverAborted)).rejects.toEqual(
    failure("PLUGIN_TIMEOUT", "hanging"),
  );
  expect(await here.client.list({ target }, neverAborted)).toMatchObject([
    { name: "net1", state: "detaching", failure: { reason: "PLUGIN_TIMEOUT" } },
  ]);
  expect(await node.leases()).toHaveLength(1);
  await plugins.add("hanging", {});
  await eventually(async () => (await node.journalFiles()).length === 0, "the detach has come to its end");
  expect(await here.client.list({ target }, neverAborted)).toEqual([]);
  expect(await node.leases()).toEqual([]);
  expect(await findMarkedProcesses(await node.markerPrefix())).toEqual([]);
});

test("an ADD that fails and whose undoing fails too stays known, and its name is free once it is cleaned up", async () => {
  await using plugins = await makePluginDirectory();
  const broken = fails(100, "no", "not today");
  await plugins.add("broken", { ADD: [broken], DEL: [broken] });
  await using node = await makeNode({ binDirs: [plugins.path] });
  await node.defineNetwork("broken", [node.bridgePlugin(), { type: "broken" }]);
  await using netns = await makeNetns("timeout");
  await using here = await startAgentHere(node);
  const target = { kind: "netns", netns: netns.path } as const;
  const network = { name: "broken", interface: "net1" };
  await expect(here.client.attach({ target, network }, neverAborted)).rejects.toMatchObject({
    reason: "PLUGIN_FAILED",
    plugin: "broken",
    cniCode: 100,
    details: "not today",
  });
  expect(await here.client.list({ target }, neverAborted)).toMatchObject([
    { name: "net1", state: "failed", failure: { reason: "PLUGIN_FAILED" } },
  ]);
  await plugins.add("broken", {});
  const { created } = await here.client.attach(
    { target, network: { ...network, name: "blue" } },
    neverAborted,
  );
  expect(created).toBe(true);
  expect(await node.leases()).toHaveLength(1);
  expect(await node.journalFiles()).toHaveLength(1);
});

test("a caller's deadline ends its waiting, and the change comes to its end", async () => {
  await using plugins = await makePluginDirectory();
  const plugin = await addWaitingPlugin(plugins);
  await using node = await makeNode({ binDirs: [plugins.path] });
  await node.defineNetwork("slow", [node.bridgePlugin(), { type: "waiting" }]);
  await using netns = await makeNetns("timeout");
  await using here = await startAgentHere(node);
  const target = { kind: "netns", netns: netns.path } as const;
  const request = { target, network: { name: "slow", interface: "net1" } };
  const deadline = new AbortController();
  const attaching = here.client.attach(request, deadline.signal);
  await plugin.begun();
  // As AbortSignal.timeout has it.
  deadline.abort(new DOMException("too late", "TimeoutError"));
  await expect(attaching).rejects.toEqual(failure("DEADLINE_EXCEEDED"));

  const again = here.client.attach(request, neverAborted);
  await plugin.letGo();
  expect(await again).toMatchObject({ created: false, interface: { name: "net1", state: "attached" } });
  expect(await plugins.order()).toEqual(["waiting ADD"]);
});
