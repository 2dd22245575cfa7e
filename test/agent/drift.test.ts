import { execFile } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import type { InterfaceEvent } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { eventually } from "../server/eventually.ts";
import { failure } from "../support/failure.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { startAgentHere } from "./agent-here.ts";

const run = promisify(execFile);

/** An agent with one attachment, and what a watcher hears from then on. */
async function startWorld(healing: JsonObject) {
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await makeNode({ config: { healing } }));
  const netns = stack.use(await makeNetns("drift"));
  const { client, log } = stack.use(await startAgentHere(node));
  const target = { kind: "netns", netns: netns.path } as const;
  await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  const leaving = new AbortController();
  const heard: InterfaceEvent[] = [];
  const watching = (async () => {
    for await (const event of client.watch({ target }, leaving.signal)) heard.push(event);
  })();
  stack.defer(async () => {
    leaving.abort();
    await watching;
  });
  await eventually(() => heard.some(({ kind }) => kind === "synced"), "the watcher is synced");
  const held = stack.move();
  return {
    node,
    netns,
    log,
    hears: (what: string) =>
      eventually(
        () =>
          heard.some((event) => event.kind === "changed" && event.interface.failure?.message.includes(what)),
        `a watcher hears ${what}`,
      ),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

test("a rename, a lost address and a deletion by hand are told by the kernel, and the link is made again, long before the next look", async () => {
  await using world = await startWorld({ intervalSeconds: 86_400 });
  const [attached] = await world.netns.ipJson<{ addr_info: { local: string; prefixlen: number }[] }[]>(
    "addr",
    "show",
    "net1",
  );
  const { local = "", prefixlen = 0 } = attached?.addr_info[0] ?? {};
  await world.netns.ip("addr", "delete", `${local}/${prefixlen}`, "dev", "net1");
  await world.hears(`interface net1 has lost ${local}`);
  await world.netns.ip("link", "set", "net1", "down");
  await world.netns.ip("link", "set", "net1", "name", "mine0");
  await world.hears("interface net1 was renamed to mine0");
  await world.netns.ip("link", "delete", "mine0");
  await world.hears("interface net1 is gone from the pod");
  await eventually(
    async () => (await world.netns.run("ls", "/proc/sys/net/ipv4/conf")).includes("net1"),
    "the link is made again",
  );
});

test("a lease that was removed by hand is told by the plugins' CHECK", async () => {
  await using world = await startWorld({ intervalSeconds: 1 });
  const [lease = ""] = await world.node.leases();
  await rm(join(world.node.root, "leases", lease));
  await world.hears("host-local");
  expect(world.log.some(({ message }) => message === "CHECK failed")).toBe(true);
});

test("a bridge that took another port's MAC is no fault of its attachments", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("bridged");
  await node.defineNetwork("flat", [node.bridgePlugin({ isGateway: false })]);
  await using agent = await startAgentHere(node);
  const target = { kind: "netns", netns: netns.path } as const;
  await agent.client.attach({ target, network: { name: "flat", interface: "net1" } }, neverAborted);
  const port = `${node.bridge}p`;
  await run("ip", ["link", "add", port, "address", "00:00:00:00:00:02", "type", "veth"]);
  try {
    await run("ip", ["link", "set", port, "master", node.bridge]);
    await agent.client.check({ target, interface: "net1" }, neverAborted);
    const [lease = ""] = await node.leases();
    await rm(join(node.root, "leases", lease));
    await expect(agent.client.check({ target, interface: "net1" }, neverAborted)).rejects.toEqual(
      failure("CHECK_FAILED", "host-local"),
    );
  } finally {
    await run("ip", ["link", "delete", port]);
  }
});
