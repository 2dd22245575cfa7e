import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { type AgentHere, startAgentHere } from "./agent-here.ts";

/*
 * A journal in which an earlier run, a newer one, a failing disk and somebody
 * else left their files: the agent starts, says what it sets aside, and works
 * with the rest.
 */

const targetOf = ({ path }: TestNetns) => ({ kind: "netns", netns: path }) as const;

const attach = ({ client }: AgentHere, netns: TestNetns, name: string) =>
  client.attach({ target: targetOf(netns), network: { name: "blue", interface: name } }, neverAborted);

const detach = ({ client }: AgentHere, netns: TestNetns, name: string) =>
  client.detach({ target: targetOf(netns), which: { by: "interface", interface: name } }, neverAborted);

const list = async ({ client }: AgentHere, netns: TestNetns) =>
  (await client.list({ target: targetOf(netns) }, neverAborted)).map(
    ({ name, origin, state }) => `${name} ${origin} ${state ?? ""}`,
  );

/** Attaches these and stops; answers the journal's file of each. */
async function attachedBefore(
  node: TestNode,
  netns: TestNetns,
  names: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  await using here = await startAgentHere(node);
  const files = new Map<string, string>();
  for (const name of names) {
    const before = await node.journalFiles();
    await attach(here, netns, name);
    const [file = ""] = (await node.journalFiles()).filter((each) => !before.includes(each));
    files.set(name, join(node.stateDir, "results", file));
  }
  return files;
}

test("empty, truncated, newer and foreign files in the journal are told of, and keep nothing from working", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("journal");
  const files = await attachedBefore(node, netns, ["net1", "net2", "net3", "net4"]);
  const fileOf = (name: string): string => files.get(name) ?? "";
  const whole = await readFile(fileOf("net2"), "utf8");
  const truncated = whole.slice(0, whole.length / 2);
  await writeFile(fileOf("net2"), truncated);
  await writeFile(fileOf("net3"), "");
  const newer = JSON.stringify({
    ...JSON.parse(await readFile(fileOf("net4"), "utf8")),
    podplug: { version: 2 },
  });
  await writeFile(fileOf("net4"), newer);
  const results = join(node.stateDir, "results");
  const foreign = JSON.stringify({ kind: "cniCacheV1", containerId: "c", ifName: "eth0", networkName: "x" });
  await writeFile(join(results, "x-c-eth0"), foreign);
  await writeFile(join(results, "of-another-name.json"), await readFile(fileOf("net1")));
  await writeFile(`${fileOf("net1")}.1-1.tmp`, "half a rec");

  await using here = await startAgentHere(node);
  const told = here.log
    .filter(({ level }) => level === "warn" || level === "error")
    .map(({ level, message, facts }) => [level, message, facts["file"]]);
  expect(told.toSorted()).toEqual(
    [
      ["error", "a journal file is damaged; it is set aside", fileOf("net2")],
      ["error", "a journal file is damaged; it is set aside", fileOf("net3")],
      [
        "error",
        "a journal file was written by a newer podplug; its attachment is left alone until that runs again",
        fileOf("net4"),
      ],
      ["warn", "a file in the journal isn't podplug's; it is left alone", join(results, "x-c-eth0")],
      [
        "warn",
        "a journal file has another record's name; it is left alone",
        join(results, "of-another-name.json"),
      ],
    ].toSorted(),
  );

  // Nothing of a pod is touched for a record that can't be read.
  expect(await list(here, netns)).toEqual(["net1 podplug attached", "net2 pod ", "net3 pod ", "net4 pod "]);
  expect(await node.leases()).toHaveLength(4);
  expect(await detach(here, netns, "net1")).toMatchObject({ detached: true });
  await attach(here, netns, "net1");
  await expect(attach(here, netns, "net2")).rejects.toEqual(failure("INTERFACE_IN_USE"));
  await expect(detach(here, netns, "net2")).rejects.toEqual(failure("NOT_DETACHABLE"));

  // A newer version's record isn't overwritten, even when its name is free again.
  await netns.ip("link", "delete", "net4");
  await expect(attach(here, netns, "net4")).rejects.toEqual(failure("JOURNAL_FAILED", "a newer podplug"));
  expect(await readFile(fileOf("net4"), "utf8")).toBe(newer);
  expect(await readFile(join(results, "x-c-eth0"), "utf8")).toBe(foreign);
  const damaged = join(node.stateDir, "damaged");
  const kept = await Promise.all(
    (await readdir(damaged)).map((file) => readFile(join(damaged, file), "utf8")),
  );
  expect(kept.toSorted()).toEqual(["", truncated]);
  expect((await readdir(results)).filter((file) => file.endsWith(".tmp"))).toEqual([]);
});

test("what is no file keeps nothing from working, and a record in its place is refused", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("journal");
  const files = await attachedBefore(node, netns, ["net1", "net2"]);
  const place = files.get("net2") ?? "";
  await rm(place);
  await mkdir(place);
  const dangling = join(node.stateDir, "results", "link");
  await symlink("nowhere", dangling);
  await using here = await startAgentHere(node);
  expect(here.log.filter(({ level }) => level === "error").map(({ facts }) => facts["file"])).toEqual(
    [place, dangling].toSorted(),
  );
  expect(await list(here, netns)).toEqual(["net1 podplug attached", "net2 pod "]);
  await netns.ip("link", "delete", "net2");
  await expect(attach(here, netns, "net2")).rejects.toEqual(failure("JOURNAL_FAILED", place));
  await attach(here, netns, "net3");
});

test("records are enough: the networks' files may be gone when the agent starts again", async () => {
  await using node = await makeNode();
  await using netns = await makeNetns("journal");
  await attachedBefore(node, netns, ["net1"]);
  await rm(node.networks, { recursive: true });
  await using here = await startAgentHere(node);
  expect(await detach(here, netns, "net1")).toMatchObject({ detached: true });
  expect(await node.leases()).toEqual([]);
  expect(await node.journalFiles()).toEqual([]);
});
