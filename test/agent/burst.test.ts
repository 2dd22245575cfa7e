import { expect, test } from "vitest";
import { createNodeClient, type NodeClient } from "../../src/client/node-client.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { eventually } from "../server/eventually.ts";
import { type IpLink, makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { openFiles } from "../support/process-facts.ts";
import { readableLog, startAgentProgram } from "./agent-program.ts";

const pods = 20;
const targetOf = ({ path }: TestNetns) => ({ kind: "netns", netns: path }) as const;

test("twenty pods get two networks each at once, and are rid of them at once, with nothing left", async () => {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await makeNode({ config: readableLog }));
  const sixes = {
    type: "host-local",
    dataDir: `${node.root}/leases`,
    ranges: [[{ subnet: "fd00:88::/64" }]],
  };
  await node.defineNetwork("six", [node.bridgePlugin({ ipam: sixes })]);
  const namespaces = await Promise.all(
    Array.from({ length: pods }, async () => stack.use(await makeNetns("burst"))),
  );
  const program = stack.use(await startAgentProgram(node.configFile));
  {
    await using client = createNodeClient({ server: `unix://${node.socket}` });
    await comesAndGoes(client, namespaces[0]);
  }
  // What the first attachment opens stays open.
  const filesBefore = await openFiles(program.pid);

  {
    await using client = createNodeClient({ server: `unix://${node.socket}` });
    const answers = await Promise.all(
      namespaces.flatMap((netns) =>
        ["blue", "six"].map((name) =>
          client.attach({ target: targetOf(netns), network: { name } }, neverAborted),
        ),
      ),
    );
    expect(answers.every(({ created }) => created)).toBe(true);
    for (const netns of namespaces) {
      const views = await client.list({ target: targetOf(netns) }, neverAborted);
      expect(views.map(({ name, state, up }) => [name, state, up])).toEqual([
        ["net1", "attached", true],
        ["net2", "attached", true],
      ]);
      expect(views.map(({ network }) => network).toSorted()).toEqual(["blue", "six"]);
    }
    const addresses = (await Promise.all(namespaces.map(addressesOf))).flat();
    expect(addresses).toHaveLength(2 * pods);
    expect(new Set(addresses).size).toBe(2 * pods);
    expect(await node.leases()).toHaveLength(2 * pods);
    expect(await node.journalFiles()).toHaveLength(2 * pods);
    expect(await node.hostEnds()).toHaveLength(2 * pods);

    const detached = await Promise.all(
      answers.map(({ interface: { attachmentId } }) =>
        client.detach({ which: { by: "id", attachmentId } }, neverAborted),
      ),
    );
    expect(detached.every((answer) => answer.detached)).toBe(true);
  }

  for (const netns of namespaces) {
    expect((await netns.ipJson<IpLink[]>("addr")).map((link) => link.ifname)).toEqual(["lo"]);
  }
  expect(await node.leases()).toEqual([]);
  expect(await node.journalFiles()).toEqual([]);
  expect(await node.hostEnds()).toEqual([]);
  expect(await findMarkedProcesses(await node.markerPrefix())).toEqual([]);
  await eventually(
    async () => (await openFiles(program.pid)) <= filesBefore,
    `the agent holds no more than its ${filesBefore} descriptors`,
  );
  expect(program.log().filter(({ level }) => level !== "info")).toEqual([]);
});

async function comesAndGoes(client: NodeClient, netns: TestNetns | undefined): Promise<void> {
  if (!netns) return;
  const target = targetOf(netns);
  await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  await client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
}

/** Without those that the kernel makes itself. */
async function addressesOf(netns: TestNetns): Promise<readonly string[]> {
  const links = await netns.ipJson<IpLink[]>("addr");
  return links
    .filter((link) => link.ifname !== "lo")
    .flatMap(({ addr_info }) => addr_info.map(({ local }) => local))
    .filter((address) => !address.startsWith("fe80:"));
}
