import { execFile } from "node:child_process";
import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { isJsonObject, type JsonObject } from "../../src/domain/json.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { startAgentHere } from "../agent/agent-here.ts";
import { readableLog, startAgentProgram } from "../agent/agent-program.ts";
import { failure } from "../support/failure.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { residentMb } from "../support/process-facts.ts";

const execute = promisify(execFile);

/*
 * Whatever a record's file has become, the agent starts in little memory, says
 * which file it is and what it is, leaves the pod alone, and works on for all
 * the others.
 */

type Damage = (file: string, bytes: Buffer) => Promise<void>;

/** The record with another value in one place. */
function changed(change: (record: JsonObject, ours: JsonObject) => JsonObject): Damage {
  return async (file, bytes) => {
    const record = JSON.parse(bytes.toString()) as JsonObject;
    const ours = record["podplug"];
    await writeFile(file, JSON.stringify(change(record, isJsonObject(ours) ? ours : {})));
  };
}

const damages: Readonly<Record<string, Damage>> = {
  "of zeros, as after a power cut": (file, bytes) => writeFile(file, Buffer.alloc(bytes.length)),
  "cut off": (file, bytes) => writeFile(file, bytes.subarray(0, bytes.length - 7)),
  "two in one": (file, bytes) => writeFile(file, Buffer.concat([bytes, bytes])),
  "no UTF-8": (file, bytes) =>
    writeFile(file, Buffer.concat([bytes.subarray(0, 40), Buffer.from([0xff, 0xfe]), bytes])),
  "a hundred thousand brackets": (file) => writeFile(file, "[".repeat(100_000)),
  "without a state": changed((record, { state: _state, ...ours }) => ({ ...record, podplug: ours })),
  "of an unknown state": changed((record, ours) => ({ ...record, podplug: { ...ours, state: "odd" } })),
  "of a sandbox without a path": changed((record, ours) => ({
    ...record,
    podplug: { ...ours, sandbox: {} },
  })),
  "with an interface that has a slash": changed((record, ours) => ({
    ...record,
    podplug: { ...ours, ifName: "../x" },
  })),
  "with a configuration that isn't base64": changed((record) => ({ ...record, config: "{}" })),
  "with a result that is a number": changed((record) => ({ ...record, result: 7 })),
  "a gigabyte": (file) => truncate(file, 1024 ** 3),
  "a FIFO": async (file) => {
    await rm(file);
    await execute("mkfifo", [file]);
  },
};

test("a journal with a damaged file of each kind is told of, bounded in memory, and keeps nothing from working", async () => {
  const kinds = Object.entries(damages);
  await using stack = new AsyncDisposableStack();
  const node = stack.use(await makeNode({ config: readableLog }));
  const pods = await Promise.all(kinds.map(async () => stack.use(await makeNetns("damage"))));
  const healthy = stack.use(await makeNetns("damage"));
  const targetOf = (netns: TestNetns) => ({ kind: "netns", netns: netns.path }) as const;
  const network = { name: "blue", interface: "net1" };
  const files: string[] = [];
  {
    await using before = await startAgentHere(node);
    const attach = async (netns: TestNetns) => {
      const known = new Set(await node.journalFiles());
      await before.client.attach({ target: targetOf(netns), network }, neverAborted);
      return (await node.journalFiles()).filter((file) => !known.has(file));
    };
    for (const pod of pods) files.push(...(await attach(pod)));
    await attach(healthy);
  }
  for (const [index, [, damage]] of kinds.entries()) {
    const file = join(node.stateDir, "results", files[index] ?? "");
    await damage(file, await readFile(file));
  }

  const agent = stack.use(await startAgentProgram(node.configFile));
  const told = new Map(
    agent
      .log()
      .filter(({ level }) => level === "error")
      .map(({ message, facts }) => [String(facts["file"]), message]),
  );
  for (const [index, [kind]] of kinds.entries()) {
    expect(told.get(join(node.stateDir, "results", files[index] ?? "")), kind).toMatch(
      /^a journal file (is damaged; it is set aside|can't be read; it is left alone)$/,
    );
  }
  expect(await residentMb(agent.pid)).toBeLessThan(250);

  await using client = createNodeClient({ server: `unix://${node.socket}` });
  for (const [index, pod] of pods.entries()) {
    const views = await client.list({ target: targetOf(pod) }, neverAborted);
    expect(
      views.map(({ name, origin }) => `${name} ${origin}`),
      kinds[index]?.[0],
    ).toEqual(["net1 pod"]);
    await expect(
      client.detach({ target: targetOf(pod), which: { by: "interface", interface: "net1" } }, neverAborted),
    ).rejects.toEqual(failure("NOT_DETACHABLE"));
  }
  const which = { by: "interface", interface: "net1" } as const;
  expect(await client.detach({ target: targetOf(healthy), which }, neverAborted)).toMatchObject({
    detached: true,
  });
  await client.attach(
    { target: targetOf(healthy), network: { ...network, interface: "net2" } },
    neverAborted,
  );
  // What is set aside can be looked at; nothing is thrown away.
  const kept = await readdir(join(node.stateDir, "damaged"));
  expect(kept.length + (await node.journalFiles()).length).toBe(kinds.length + 1);
});
