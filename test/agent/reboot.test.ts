import { randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { addVethPair, type IpLink, makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { readableLog, startAgentProgram } from "./agent-program.ts";

/** Runs a command for which the machine has been booted since. */
async function afterReboot(root: string): Promise<readonly string[]> {
  const file = join(root, "boot_id");
  await writeFile(file, `${randomUUID()}\n`);
  const cover = `mount --bind '${file}' /proc/sys/kernel/random/boot_id && exec "$@"`;
  return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", cover, "sh"];
}

test("after a reboot every address is free again, and a path that leads to another namespace by then is left alone", async () => {
  await using node = await makeNode({ config: readableLog });
  await using gone = await makeNetns();
  await using recycled = await makeNetns();
  await using other = await makeNetns();
  {
    await using agent = await startAgentProgram(node.configFile);
    await using client = createNodeClient({ server: `unix://${node.socket}` });
    for (const { path } of [gone, recycled]) {
      const target = { kind: "netns", netns: path } as const;
      await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
    }
    expect(await node.leases()).toHaveLength(2);
    agent.kill("SIGKILL");
    await agent.ended;
  }
  await gone[Symbol.asyncDispose]();
  await recycled.ip("link", "delete", "net1");
  // As another pod of the next boot may have one.
  await addVethPair({ netns: recycled, name: "net1" }, { netns: other, name: "peer" });

  await using agent = await startAgentProgram(node.configFile, await afterReboot(node.root));
  await expect.poll(() => node.leases()).toEqual([]);
  await expect.poll(() => node.journalFiles()).toEqual([]);
  const links = await recycled.ipJson<readonly IpLink[]>("link");
  expect(links.map(({ ifname }) => ifname).toSorted()).toEqual(["lo", "net1"]);
  expect(agent.log().filter(({ level }) => level === "error")).toEqual([]);
});
