import { readFile } from "node:fs/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ExecPlugin, maxStderrBytes, maxStdoutBytes } from "../../src/cni/exec-plugin.ts";
import { endProcesses, findMarkedProcesses } from "../../src/cni/processes.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import {
  complains,
  crashes,
  exits,
  hangs,
  leavesChild,
  makePluginDirectory,
  type PluginDirectory,
  prints,
  printsBytes,
} from "../fixtures/plugins/plugin-directory.ts";

const untilDone = new AbortController().signal;

/** What every way of running a program must do. */
export function execPluginContract(makeExec: () => ExecPlugin): void {
  let plugins: PluginDirectory;
  let exec: ExecPlugin;
  /** In the environment of all that a test starts, to find it again. */
  let marker: string;
  let env: Record<string, string>;

  beforeEach(async () => {
    plugins = await makePluginDirectory();
    exec = makeExec();
    marker = `contract/${crypto.randomUUID()}`;
    env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", CNI_COMMAND: "ADD", PODPLUG_RUN: marker };
  });
  afterEach(() => plugins[Symbol.asyncDispose]());

  const program = (...lines: readonly string[]): Promise<string> =>
    plugins.addProgram("program", `#!/bin/sh\n${lines.join("\n")}\n`);
  const running = async (): Promise<number> => (await findMarkedProcesses(marker)).length;

  test("a program's output and exit code come back", async () => {
    const path = await program(prints("out"), complains("err"), exits(7));
    expect(await exec({ path, env, stdin: "" }, untilDone)).toEqual({
      exitCode: 7,
      signal: null,
      stdout: "out",
      stderr: "err",
    });
  });

  test("it reads all of its input and then the end", async () => {
    const path = await program("cat");
    const stdin = JSON.stringify({ text: "ü\n\0".repeat(200_000) });
    expect((await exec({ path, env, stdin }, untilDone)).stdout).toBe(stdin);
  });

  test("it may open its input by name, as plugins in shell do", async () => {
    const path = await program("cat /dev/stdin");
    expect((await exec({ path, env, stdin: "{}" }, untilDone)).stdout).toBe("{}");
  });

  test("a NUL in its environment is refused, not cut off", async () => {
    const path = await program("env");
    const run = { path, env: { ...env, CNI_ARGS: "A=b\0;C=d" }, stdin: "" };
    await expect(exec(run, untilDone)).rejects.toThrow();
  });

  test("it needn't read its input", async () => {
    const path = await program("exec <&-", prints("done"));
    const exit = await exec({ path, env, stdin: "x".repeat(1_000_000) }, untilDone);
    expect(exit).toMatchObject({ exitCode: 0, stdout: "done" });
  });

  test("it runs in the root directory, in a session of its own, with the given environment alone", async () => {
    const path = await program(
      "pwd",
      "cut -d ' ' -f 1,5,6 /proc/$$/stat",
      "cat /proc/$$/environ | tr '\\0' '\\n'",
    );
    const { stdout } = await exec({ path, env, stdin: "" }, untilDone);
    const [directory, ids = "", ...environment] = stdout.trim().split("\n");
    expect(directory).toBe("/");
    const [pid, group, session] = ids.split(" ");
    expect([group, session]).toEqual([pid, pid]);
    expect(environment.sort()).toEqual(
      Object.entries(env)
        .map(([key, value]) => `${key}=${value}`)
        .sort(),
    );
  });

  test("the signal that ended it comes back", async () => {
    const path = await program(crashes("SEGV"));
    expect(await exec({ path, env, stdin: "" }, untilDone)).toMatchObject({
      exitCode: null,
      signal: "SIGSEGV",
    });
  });

  test("characters that are split between two reads stay whole", async () => {
    const path = await program(
      "i=0; while [ $i -lt 2000 ]; do printf '%s' '€€€€€€€€€€€€€€€€€'; i=$((i+1)); done",
    );
    expect((await exec({ path, env, stdin: "" }, untilDone)).stdout).toBe("€".repeat(34_000));
  });

  test.each([
    ["a missing file", "ENOENT", async () => `${plugins.path}/nothing`],
    ["a directory", "EACCES", async () => plugins.path],
  ])("%s rejects with the system's code", async (_what, code, makePath) => {
    await expect(exec({ path: await makePath(), env, stdin: "" }, untilDone)).rejects.toMatchObject({ code });
  });

  test.each([
    ["stdout", maxStdoutBytes],
    ["stderr", maxStderrBytes],
  ] as const)("as much as is allowed on %s comes back, and no more", async (where, maxBytes) => {
    const whole = await program(printsBytes(maxBytes, where));
    expect((await exec({ path: whole, env, stdin: "" }, untilDone))[where]).toHaveLength(maxBytes);

    const tooMuch = await program(printsBytes(maxBytes + 1, where), hangs());
    await expect(exec({ path: tooMuch, env, stdin: "" }, untilDone)).rejects.toMatchObject({
      reason: "PLUGIN_BAD_OUTPUT",
      message: expect.stringContaining(where),
    });
    await expect.poll(running).toBe(0);
  });

  test("an abort ends the program with its children", async () => {
    const path = await program(leavesChild(), `echo > ${plugins.path}/started`, hangs());
    const controller = new AbortController();
    const outcome = exec({ path, env, stdin: "" }, controller.signal);
    outcome.catch(() => {});
    await expect.poll(() => readFile(`${plugins.path}/started`)).toBeDefined();
    await expect.poll(running).toBeGreaterThan(1);
    controller.abort(new Error("enough"));
    await expect(outcome).rejects.toThrow("enough");
    await expect.poll(running).toBe(0);
  });

  test("nothing starts when the signal aborted before", async () => {
    const path = await program(`echo > ${plugins.path}/started`);
    await expect(exec({ path, env, stdin: "" }, AbortSignal.abort(new Error("never")))).rejects.toThrow(
      "never",
    );
    await expect(readFile(`${plugins.path}/started`)).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("a child that keeps the output open delays the end by a moment only", async () => {
    const path = await program("sleep 1000 &", prints("done"));
    expect(await exec({ path, env, stdin: "" }, AbortSignal.timeout(10_000))).toMatchObject({
      stdout: "done",
    });
    await endAll();
  });

  test("a child that keeps printing delays the end by a moment only", async () => {
    const path = await program("(while :; do echo more; sleep 0.01; done) &", prints("done"));
    const exit = await exec({ path, env, stdin: "" }, AbortSignal.timeout(10_000));
    expect(exit.stdout).toMatch(/done/);
    await endAll();
  });

  const endAll = async (): Promise<void> => {
    await endProcesses(marker, { clock: systemClock }, neverAborted);
  };
}
