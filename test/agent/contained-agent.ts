import { createNodeClient, type NodeClient } from "../../src/client/node-client.ts";
import type { TestNode } from "../support/node.ts";
import { type AgentProgram, startAgentProgram } from "./agent-program.ts";

/** An agent in a mount namespace of its own, where what it finds by the host's paths is hidden, as in a container. */
export interface ContainedAgent extends AsyncDisposable {
  readonly client: NodeClient;
  readonly program: AgentProgram;
}

/** `hidden` folders are empty for it, as /run is; `before` is a command that runs it. */
export async function startContained(
  node: TestNode,
  {
    hidden = [],
    before = [],
  }: { readonly hidden?: readonly string[]; readonly before?: readonly string[] } = {},
): Promise<ContainedAgent> {
  const program = await startAgentProgram(node.configFile, [...contained(hidden), ...before]);
  const client = createNodeClient({ server: `unix://${node.socket}` });
  return {
    client,
    program,
    async [Symbol.asyncDispose]() {
      await client.close();
      await program[Symbol.asyncDispose]();
    },
  };
}

/** None of its mounts reach the host. */
function contained(hidden: readonly string[]): readonly string[] {
  const script = `for each in /run ${hidden.join(" ")}; do mount -t tmpfs tmpfs "$each"; done; exec "$@"`;
  return ["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"];
}
