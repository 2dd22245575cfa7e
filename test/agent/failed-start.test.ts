import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "vitest";
import { startAgent } from "../../src/agent.ts";
import { parseConfig } from "../../src/config.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";

test("an agent that can't listen lets the recovery it began end before it lets go of the journal", async () => {
  await using node = await makeNode();
  {
    await using netns = await makeNetns("failed");
    await using here = await startAgentHere(node);
    const target = { kind: "netns", netns: netns.path } as const;
    await here.client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  }
  const socket = join(node.root, "in-the-way");
  await writeFile(socket, "");
  const config = parseConfig(await readFile(node.configFile, "utf8"), node.configFile);
  const plugins = { begun: 0, ended: 0 };
  const starting = startAgent({
    config: { ...config, api: { ...config.api, socket } },
    env: process.env,
    log: silentLogger,
    parts: (own) => ({
      ...own,
      exec: async (run, signal) => {
        plugins.begun += 1;
        const outcome = await own.exec(run, signal);
        // A plugin that takes longer than the listener's failure.
        await pause(200);
        plugins.ended += 1;
        return outcome;
      },
    }),
  });
  await expect(starting).rejects.toThrow("isn't a socket");
  const begun = plugins.begun;
  expect(plugins.ended).toBe(begun);
  await using _next = await startAgentHere(node);
  expect(plugins.begun).toBe(begun);
  expect(await node.leases()).toEqual([]);
});
