import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { hangs, makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";

const targetOf = ({ path }: TestNetns) => ({ kind: "netns", netns: path }) as const;

test("while plugins hang in the recovery of some pods, the agent serves, and attaches in others at once", async () => {
  await using stack = new AsyncDisposableStack();
  const plugins = stack.use(await makePluginDirectory());
  await plugins.add("hanging", {});
  // Fewer chains at once than there are that hang, for longer than all takes that is done meanwhile.
  const cni = { timeoutSeconds: 20, maxConcurrent: 2 };
  const node = stack.use(await makeNode({ binDirs: [plugins.path], config: { cni } }));
  await node.defineNetwork("hanging", [node.bridgePlugin(), { type: "hanging" }]);
  const ended = await Promise.all(Array.from({ length: 4 }, () => makeNetns("ended")));
  {
    await using before = await startAgentHere(node);
    for (const netns of ended) {
      const request = { target: targetOf(netns), network: { name: "hanging", interface: "net1" } };
      await before.client.attach(request, neverAborted);
    }
  }
  // While no agent runs: its next one finds addresses of namespaces that are gone.
  await Promise.all(ended.map((netns) => netns[Symbol.asyncDispose]()));
  await plugins.add("hanging", { DEL: [hangs()] });

  const healthy = stack.use(await makeNetns("healthy"));
  const here = stack.use(await startAgentHere(node, undefined, { whileRecovering: true }));
  let recovered = false;
  const recovering = here.agent.recovered.then(() => {
    recovered = true;
  });
  const hung = async (): Promise<number> =>
    (await plugins.order()).filter((call) => call === "hanging DEL").length;
  await eventually(async () => (await hung()) === ended.length, "all of them hang, not only the first two");
  const request = { target: targetOf(healthy), network: { name: "blue" } };
  expect(await here.client.attach(request, neverAborted)).toMatchObject({ created: true });
  expect(await here.client.list({ target: targetOf(healthy) }, neverAborted)).toHaveLength(1);
  expect(recovered).toBe(false);
  expect(await node.leases()).toHaveLength(ended.length + 1);

  // What hangs is ended, and that is the end of recovery; what is owed is tried again.
  await plugins.add("hanging", {});
  await recovering;
  await eventually(async () => (await node.leases()).length === 1, "the addresses are given back");
});
