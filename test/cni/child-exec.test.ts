import { execFile } from "node:child_process";
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { createChildExec } from "../../src/cni/child-exec.ts";
import { startNodeChild } from "../../src/cni/node-child.ts";
import { createPosixStart } from "../../src/cni/posix-child.ts";
import { loadPosixSpawn } from "../../src/cni/posix-spawn.ts";
import { systemClock as clock } from "../../src/domain/clock.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { execPluginContract } from "../contracts/exec-plugin.ts";
import { makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";

describe("by node:child_process", () => {
  execPluginContract(() => createChildExec({ start: startNodeChild, clock }));
});

describe("by posix_spawn", async () => {
  const native = await loadPosixSpawn();
  const exec = createChildExec({ start: createPosixStart(native), clock });
  execPluginContract(() => exec);

  test("a plugin in shell may open its outputs by name", async () => {
    await using plugins = await makePluginDirectory();
    const path = await plugins.addProgram("p", "#!/bin/sh\necho out > /dev/stdout\necho err > /dev/stderr\n");
    expect(await exec({ path, env: {}, stdin: "" }, neverAborted)).toMatchObject({
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  test("of many programs at once each one's end and output come back to it", async () => {
    await using plugins = await makePluginDirectory();
    const path = await plugins.addProgram("p", '#!/bin/sh\necho "$N"\nexit "$N"\n');
    const ends = await Promise.all(
      Array.from({ length: 50 }, (_, n) => exec({ path, env: { N: String(n) }, stdin: "" }, neverAborted)),
    );
    expect(ends.map(({ exitCode, stdout }) => [exitCode, stdout])).toEqual(
      Array.from({ length: 50 }, (_, n) => [n, `${n}\n`]),
    );
  });

  test("Node's own children are left to Node", async () => {
    const own = execFile("sh", ["-c", "exit 7"]);
    const ended = once(own, "exit");
    await exec({ path: "/bin/true", env: {}, stdin: "" }, neverAborted);
    expect(await ended).toEqual([7, null]);
  });
});
