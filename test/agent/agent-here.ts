import { readFile } from "node:fs/promises";
import { type AgentOptions, type RunningAgent, startAgent } from "../../src/agent.ts";
import { createNodeClient, type NodeClient } from "../../src/client/node-client.ts";
import { parseConfig } from "../../src/config.ts";
import type { TestNode } from "../support/node.ts";
import { createRecordingLog, type LogLine } from "../support/recording-log.ts";

/** The whole agent in this process, and a client that reaches it by its socket. */
export interface AgentHere extends AsyncDisposable {
  readonly agent: RunningAgent;
  readonly client: NodeClient;
  readonly log: readonly LogLine[];
}

/** Resolves once recovery is complete, unless it is to be called meanwhile. */
export async function startAgentHere(
  { configFile, socket }: TestNode,
  parts?: AgentOptions["parts"],
  { whileRecovering = false } = {},
): Promise<AgentHere> {
  const config = parseConfig(await readFile(configFile, "utf8"), configFile);
  const log = createRecordingLog();
  const agent = await startAgent({ config, env: process.env, log, parts });
  if (!whileRecovering) await agent.recovered;
  const client = createNodeClient({ server: `unix://${socket}` });
  return {
    agent,
    client,
    log: log.lines,
    async [Symbol.asyncDispose]() {
      await client.close();
      await agent.stop();
    },
  };
}
