import { join } from "node:path";
import { expect, test } from "vitest";
import { createNodeClient } from "../../src/client/node-client.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { readableLog, startAgentProgram } from "./agent-program.ts";
import { readTrace, type SystemCall, traceTo } from "./system-calls.ts";

const traced = [
  "openat",
  "write",
  "pwrite64",
  "fsync",
  "fdatasync",
  "rename",
  "renameat",
  "renameat2",
  "unlink",
  "unlinkat",
  "execve",
];

test("a record's content and its name are on the disk before a plugin starts, and it goes after the last one", async () => {
  await using node = await makeNode({ config: readableLog });
  await using netns = await makeNetns("trace");
  const trace = join(node.root, "trace");
  await using program = await startAgentProgram(node.configFile, traceTo(trace, traced));
  await using client = createNodeClient({ server: `unix://${node.socket}` });
  const target = { kind: "netns", netns: netns.path } as const;
  await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  await client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  program.kill("SIGTERM");
  expect(await program.ended).toMatchObject({ code: 0 });

  const steps = stepsOf(await readTrace(trace, program.pid), join(node.stateDir, "results"));
  const add = steps.indexOf("bridge ADD");
  const del = steps.indexOf("bridge DEL");
  expect(steps.slice(0, add)).toEqual(["attaching synced", "renamed", "directory synced"]);
  expect(steps.slice(add, del)).toContain("attached synced");
  expect(steps.slice(del - 3, del)).toEqual(["detaching synced", "renamed", "directory synced"]);
  expect(steps.slice(del)).toEqual(["bridge DEL", "removed"]);
});

/** What was done to the journal, each when it was done, and which plugins were started, each when that began. */
function stepsOf(calls: readonly SystemCall[], journal: string): readonly string[] {
  const steps: { readonly at: number; readonly what: string }[] = [];
  const states = new Map<string, string>();
  const synchronous = new Set<string>();
  for (const { name, args, result, begun, ended } of calls) {
    const step = (what: string): number => steps.push({ at: ended, what });
    const [, path = ""] = /^(?:\d+<|AT_FDCWD<.*>, "|")([^">]*)[">]/.exec(args) ?? [];
    const inJournal = path.startsWith(`${journal}/`);
    if (result.startsWith("-1")) continue;
    if (name === "execve" && path.endsWith("/bridge")) {
      steps.push({ at: begun, what: `bridge ${/CNI_COMMAND=(\w+)/.exec(args)?.[1]}` });
    } else if (name === "openat" && inJournal && /\bO_D?SYNC\b/.test(args)) {
      synchronous.add(path);
    } else if (/^p?write/.test(name) && inJournal) {
      states.set(path, /\\"state\\":\\"(\w+)\\"/.exec(args)?.[1] ?? "");
      if (synchronous.has(path)) step(`${states.get(path)} synced`);
    } else if (/^f(data)?sync$/.test(name) && inJournal) {
      step(`${states.get(path)} synced`);
    } else if (name === "fsync" && path === journal) {
      step("directory synced");
    } else if (name.startsWith("rename") && inJournal) {
      step("renamed");
    } else if (name.startsWith("unlink") && inJournal) {
      step("removed");
    }
  }
  return steps.toSorted((a, b) => a.at - b.at).map(({ what }) => what);
}
