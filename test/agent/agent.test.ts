import { afterAll, beforeAll, describe } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";
import { type NodeApiWorld, nodeApiContract } from "../contracts/node-api.ts";
import { type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";
import { type AgentProgram, readableLog, startAgentProgram } from "./agent-program.ts";

/*
 * The contract of a node, held by the whole agent: real namespaces, real
 * plugins, and its API on both of its listeners.
 */

const onAnyPort = { listen: "127.0.0.1:0", config: readableLog };

describe("the agent in a process with its callers", () => {
  nodeApiContract(async () => {
    await using stack = new AsyncDisposableStack();
    const node = stack.use(await makeNode(onAnyPort));
    const { agent } = stack.use(await startAgentHere(node));
    return createWorld(node, agent.addresses.tcp?.port, stack.move());
  });
});

describe("the agent as a program", () => {
  let node: TestNode;
  let program: AgentProgram;

  beforeAll(async () => {
    node = await makeNode(onAnyPort);
    program = await startAgentProgram(node.configFile);
  });

  afterAll(async () => {
    await program[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
  });

  nodeApiContract(async () => createWorld(node, program.addresses.tcp?.port, new AsyncDisposableStack()));
});

function createWorld(node: TestNode, port: number | undefined, stack: AsyncDisposableStack): NodeApiWorld {
  const api = stack.use(createNodeClient({ server: `unix://${node.socket}` }));
  const other = stack.use(createNodeClient({ server: `http://127.0.0.1:${port}` }));

  /** So that another world of the same node finds no lease. */
  async function detachAll(target: Target): Promise<void> {
    for (const { attachmentId } of await api.list({ target }, neverAborted)) {
      const which = { by: "id", attachmentId } as const;
      if (attachmentId !== "") await api.detach({ which, force: true }, neverAborted);
    }
  }

  return {
    api,
    other,
    async addTarget() {
      const netns = stack.use(await makeNetns("agent"));
      const target: Target = { kind: "netns", netns: netns.path };
      stack.defer(() => detachAll(target));
      return {
        target,
        linkNames: async () => (await netns.ipJson<IpLink[]>("addr")).map((link) => link.ifname),
      };
    },
    leases: async () => (await node.leases()).length,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
