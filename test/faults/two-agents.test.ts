import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { launchAgentProgram, readableLog, startAgentProgram, toldOf } from "../agent/agent-program.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";

test("of agents that start at once on one state directory one serves, and the others say why they don't", async () => {
  await using node = await makeNode({ config: readableLog });
  await using stack = new AsyncDisposableStack();
  const agents = Array.from({ length: 4 }, () => stack.use(launchAgentProgram(node.configFile)));
  const ends = await Promise.all(
    agents.map((agent) =>
      Promise.race([
        agent.ended,
        agent.logs("serving").then(
          () => "serves" as const,
          () => agent.ended,
        ),
      ]),
    ),
  );
  const refusal = {
    code: 2,
    signal: null,
    stderr: toldOf("INVALID_CONFIGURATION", `another agent is running on stateDir ${node.stateDir}`),
  };
  expect(ends.filter((end) => end === "serves")).toHaveLength(1);
  expect(ends.filter((end) => end !== "serves")).toEqual([refusal, refusal, refusal]);
});

test("an agent with another state directory on the socket of one that runs refuses, and touches nothing", async () => {
  await using node = await makeNode({ config: readableLog });
  await using netns = await makeNetns("two");
  await using _first = await startAgentProgram(node.configFile);
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  const target = { kind: "netns", netns: netns.path } as const;
  await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);

  const config = JSON.parse(await readFile(node.configFile, "utf8")) as JsonObject;
  const other = join(node.root, "other.yaml");
  await writeFile(other, JSON.stringify({ ...config, stateDir: join(node.root, "other-state") }));
  const { code, stderr } = await launchAgentProgram(other).ended;
  expect(code).toBe(2);
  expect(stderr).toContain(`can't listen on socket ${node.socket}, it is in use by another process`);
  expect(await client.list({ target }, neverAborted)).toMatchObject([{ name: "net1", state: "attached" }]);
  expect(await node.leases()).toHaveLength(1);
});
