import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { makePluginDirectory, prints } from "../fixtures/plugins/plugin-directory.ts";
import { failure } from "../support/failure.ts";
import { fill, mountTmpfs } from "../support/mount.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type AgentHere, startAgentHere } from "./agent-here.ts";
import { runAgentProgram, toldOf } from "./agent-program.ts";

const net1 = { by: "interface", interface: "net1" } as const;
const net2 = { by: "interface", interface: "net2" } as const;
const targetOf = ({ path }: TestNetns) => ({ kind: "netns", netns: path }) as const;

const attach = ({ client }: AgentHere, netns: TestNetns, name: string, network = "blue") =>
  client.attach({ target: targetOf(netns), network: { name: network, interface: name } }, neverAborted);
const detach = ({ client }: AgentHere, netns: TestNetns, which: typeof net1 | typeof net2) =>
  client.detach({ target: targetOf(netns), which }, neverAborted);

/** What is there of attachments, wherever it is kept. */
async function census(node: TestNode, netns: TestNetns, { client }: AgentHere) {
  const links = await netns.ipJson<IpLink[]>("addr");
  const listed = await client.list({ target: targetOf(netns) }, neverAborted);
  return {
    links: links.map((link) => link.ifname).filter((name) => name !== "lo"),
    listed: listed.map(({ name, state }) => `${name} ${state}`),
    leases: (await node.leases()).length,
    hostEnds: (await node.hostEnds()).length,
    records: (await node.journalFiles()).length,
  };
}

const nothing = { links: [], listed: [], leases: 0, hostEnds: 0, records: 0 };
const oneAttached = { links: ["net1"], listed: ["net1 attached"], leases: 1, hostEnds: 1, records: 1 };

test("a state directory that is a file is told, and the file stays", async () => {
  await using node = await makeNode();
  await writeFile(node.stateDir, "precious");
  const { code, stderr } = await runAgentProgram(node.configFile);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: toldOf("INVALID_CONFIGURATION", `stateDir ${node.stateDir} isn't a directory`),
  });
  expect(await readFile(node.stateDir, "utf8")).toBe("precious");
});

test("on a read-only state directory no agent starts", async () => {
  await using node = await makeNode();
  await using state = await mountTmpfs(node.stateDir, "1m");
  await using _cover = await state.coverReadOnly();
  const { code, stderr } = await runAgentProgram(node.configFile);
  expect(code).toBe(1);
  expect(stderr).toMatch(/^podplug agent: stateDir .* can't be used: .*read-only file system/);
});

test("while the state directory is read-only nothing is plugged or unplugged, and afterwards all works again", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("state");
  await using state = await mountTmpfs(node.stateDir, "1m");
  await using here = await startAgentHere(node);
  await attach(here, netns, "net1");
  {
    await using _cover = await state.coverReadOnly();
    const refusal = failure("JOURNAL_FAILED", "the file system is read-only");
    await expect(attach(here, netns, "net2")).rejects.toEqual(refusal);
    await expect(detach(here, netns, net1)).rejects.toEqual(refusal);
    expect(await census(node, netns, here)).toEqual(oneAttached);
  }
  await attach(here, netns, "net2");
  await detach(here, netns, net1);
  await detach(here, netns, net2);
  expect(await census(node, netns, here)).toEqual(nothing);
});

test("while the state directory is full nothing is plugged or unplugged, and with room all works again", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("state");
  await using _state = await mountTmpfs(node.stateDir, "64k");
  await using here = await startAgentHere(node);
  await attach(here, netns, "net1");

  const filler = join(node.stateDir, "filler");
  await fill(filler);
  const refusal = failure("JOURNAL_FAILED", "no space left on the device");
  await expect(attach(here, netns, "net2")).rejects.toEqual(refusal);
  await expect(attach(here, netns, "net2")).rejects.toEqual(refusal);
  await expect(detach(here, netns, net1)).rejects.toEqual(refusal);
  expect(await census(node, netns, here)).toEqual(oneAttached);

  await rm(filler);
  await attach(here, netns, "net2");
  await detach(here, netns, net1);
  await detach(here, netns, net2);
  expect(await census(node, netns, here)).toEqual(nothing);
});

test("an attachment whose record doesn't fit any more once its plugins have run is taken back", async () => {
  await using plugins = await makePluginDirectory();
  await using node = await makeNode({ binDirs: [plugins.path] });
  await using netns = await makeNetns("state");
  await using _state = await mountTmpfs(node.stateDir, "64k");
  const filler = join(node.stateDir, "filler");
  await plugins.add("filler", {
    ADD: [`cat /dev/zero >'${filler}' 2>/dev/null`, prints({ cniVersion: "1.0.0" })],
  });
  await node.defineNetwork("filling", [node.bridgePlugin(), { type: "filler" }]);
  await using here = await startAgentHere(node);
  await expect(attach(here, netns, "net1", "filling")).rejects.toEqual(failure("JOURNAL_FAILED", "no space"));
  expect(await plugins.order()).toEqual(["filler ADD", "filler DEL"]);
  expect(await census(node, netns, here)).toEqual(nothing);
  expect(await readdir(node.stateDir)).toContain("filler");
  await rm(filler);
  await attach(here, netns, "net1");
  expect(await census(node, netns, here)).toEqual(oneAttached);
});
