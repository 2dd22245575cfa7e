import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PodInterface } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { makeDirectory, run, startTestServer } from "../server/started-server.ts";
import { cli } from "./cli-in-memory.ts";
import { root } from "./cli-process.ts";

async function apiWithTwo() {
  const api = createFakeNode().apiFor({ name: "tester", reconciler: false });
  for (const line of [
    "attach demo/web net-a --interface data0",
    "attach demo/db net-b",
    "attach --netns /run/netns/a net-a",
  ]) {
    await cli(line.split(" "), { api });
  }
  return api;
}

/** What is offered for the last of the words, without the descriptions. */
async function offered(
  words: readonly string[],
  api: Awaited<ReturnType<typeof apiWithTwo>>,
): Promise<string[]> {
  const { code, stdout, stderr } = await cli(["__complete", "--", ...words], { api });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split("\t")[0] ?? "");
}

test.each([
  [
    [""],
    [
      "attach",
      "detach",
      "list",
      "watch",
      "check",
      "top",
      "info",
      "agent",
      "server",
      "controller",
      "certificates",
      "completion",
      "help",
    ],
  ],
  [["li"], ["list"]],
  [["list", "--na"], ["--namespace"]],
  [
    ["list", "--n"],
    ["--namespace", "--netns", "--no-color"],
  ],
  [
    ["list", "-o", ""],
    ["json", "table", "wide", "yaml"],
  ],
  [["list", "--output", "=", "j"], ["json"]],
  [
    ["list", "--output", "="],
    ["json", "table", "wide", "yaml"],
  ],
  [["list", "--output=w"], ["--output=wide"]],
  [["attach", "--source", "net"], ["netAttachDef"]],
  [
    ["completion", ""],
    ["bash", "fish", "zsh"],
  ],
  [["completion", "bash", ""], []],
  [["attach", "--token-file", ""], [":files"]],
  [["agent", "--config", ""], [":files"]],
  [["list", "-n", ""], ["demo"]],
  [
    ["list", "-n", "demo", ""],
    ["db", "web"],
  ],
  [["ls", "-ndemo", "w"], ["web"]],
  [["list", ""], []],
  [
    ["list", "demo/"],
    ["demo/db", "demo/web"],
  ],
  [
    ["attach", "-n", "demo", "web", ""],
    ["demo/net-a", "demo/net-b", "net-a"],
  ],
  [["attach", "--netns", "/run/netns/a", "n"], ["net-a"]],
  [["detach", "demo/web", ""], ["demo/net-a"]],
  [["detach", "-n", "demo", "web", "--interface", ""], ["data0"]],
  [["detach", "--netns", "a", "--interface", ""], ["net1"]],
  [
    ["detach", "--id", ""],
    ["fake-1", "fake-2", "fake-3"],
  ],
  [["list", "--", "--na"], []],
  [
    ["nonsense", ""],
    [
      "attach",
      "detach",
      "list",
      "watch",
      "check",
      "top",
      "info",
      "agent",
      "server",
      "controller",
      "certificates",
      "completion",
      "help",
    ],
  ],
])("%j is completed by %j", async (words, candidates) => {
  expect(await offered(words, await apiWithTwo())).toEqual(candidates);
});

test("--netns is completed by the names in /run/netns, else as a path", async () => {
  const api = await apiWithTwo();
  const file = "/run/netns/completed-name";
  writeFileSync(file, "");
  try {
    expect(await offered(["list", "--netns", "completed-"], api)).toEqual(["completed-name"]);
    expect(await offered(["list", "--netns=completed-"], api)).toEqual(["--netns=completed-name"]);
    expect(await offered(["list", "--netns", "/run/"], api)).toEqual([":files"]);
    expect(await offered(["list", "--netns", "no-such-"], api)).toEqual([":files"]);
  } finally {
    rmSync(file);
  }
});

test("a name that the shell would obey is not offered", async () => {
  const api = await apiWithTwo();
  const [one] = await api.list({}, neverAborted);
  if (one === undefined) throw new Error("nothing is attached");
  const names = ["$(reboot)", "`id`", "a;b", "a b", "-rf", "ok0", "x\u001b[2J"];
  const list = (): Promise<PodInterface[]> => Promise.resolve(names.map((name) => ({ ...one, name })));
  expect(await offered(["detach", "demo/web", "--interface", ""], { ...api, list })).toEqual(["ok0"]);
});

test("without an agent the rest is completed, and nothing is said", async () => {
  const world = { server: "unix:///nonexistent/podplug.sock" };
  expect(await cli(["__complete", "--", "list", ""], world)).toEqual({ code: 0, stdout: "", stderr: "" });
  expect((await cli(["__complete", "--", "list", "--net"], world)).stdout).toContain("--netns\t");
});

describe("in bash", () => {
  async function complete(typed: string, server: string): Promise<string[]> {
    const directory = await makeDirectory();
    mkdirSync(join(directory, "bin"));
    writeFileSync(join(directory, "podplug.bash"), (await cli(["completion", "bash"])).stdout);
    const program = `#!/bin/sh\nexec '${process.execPath}' '${join(root, "src/main.ts")}' "$@"\n`;
    writeFileSync(join(directory, "bin/podplug"), program, { mode: 0o755 });
    // As readline does: the line's words, COMP_WORDBREAKS split off, and the function called.
    const script = `
      PATH='${directory}/bin':$PATH PODPLUG_SERVER='${server}'; export PODPLUG_SERVER
      . '${directory}/podplug.bash'
      compopt() { :; }
      COMP_WORDS=(${typed.replaceAll("=", " = ")}) COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      [[ "${typed}" == *" " ]] && COMP_WORDS+=("") && COMP_CWORD=$((COMP_CWORD + 1))
      complete -p podplug >/dev/null && _podplug
      [ \${#COMPREPLY[@]} = 0 ] || printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { code, stdout, stderr } = await run("bash", ["--norc", "-uc", script], directory);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout.split("\n").slice(0, -1);
  }

  test("commands, options, values and what the node has are completed", async () => {
    const { socketPath } = await startTestServer();
    const server = `unix://${socketPath}`;
    await cli(["attach", "demo/web", "net-a"], { server });
    expect(await complete("podplug li", server)).toEqual(["list"]);
    expect(await complete("podplug list --output=j", server)).toEqual(["json"]);
    expect(await complete("podplug detach -n demo web ", server)).toEqual(["demo/net-a"]);
    expect(await complete("podplug attach --ca ", server)).toEqual([]);
  });
});

test.each(["bash"])("the script for %s is valid", async (shell) => {
  const { stdout } = await cli(["completion", shell]);
  execFileSync(shell, ["-n"], { input: stdout, stdio: ["pipe", "pipe", "pipe"] });
});

test.each(["zsh", "fish"])("the script for %s asks the program", async (shell) => {
  expect((await cli(["completion", shell])).stdout).toContain("__complete --");
});
