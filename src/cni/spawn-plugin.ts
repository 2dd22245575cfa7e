import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../domain/clock.ts";
import { PodplugError, systemCodeOf } from "../domain/errors.ts";
import { collectOutput } from "./collect-output.ts";
import {
  type ExecPlugin,
  maxStderrBytes,
  maxStdoutBytes,
  outputGraceMs,
  type PluginExit,
  type PluginRun,
} from "./exec-plugin.ts";
import { openStdinFile } from "./stdin-file.ts";

/** How long an ended program may take to go, before it is left to those who look for its marker. */
const goneAfterMs = 10_000;

/** How many times a child left behind may go on printing, each `outputGraceMs` long. */
const graceRounds = 10;

/** Runs plugins as children of this process, each in a session of its own. */
export function createSpawnExec({ clock }: { readonly clock: Clock }): ExecPlugin {
  return async (run, signal) => {
    signal.throwIfAborted();
    const child = start(run);
    const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
    // Observed here, because it may be rejected before anybody awaits it.
    stopped.catch(() => {});
    const onAbort = (): void => stop(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([finished(child, clock, stop), stopped]);
    } catch (error) {
      await endGroup(child, clock);
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      child.stdout?.destroy();
      child.stderr?.destroy();
    }
  };
}

/** Throws Node's error, or leaves it to the child's `error` event. */
function start(run: PluginRun): ChildProcess {
  const file = openStdinFile(run.stdin);
  try {
    const child = spawn(run.path, [], {
      cwd: "/",
      env: { ...run.env },
      detached: true,
      stdio: [file ?? "pipe", "pipe", "pipe"],
    });
    // A plugin that doesn't read its input may end first.
    child.stdin?.on("error", () => {});
    child.stdin?.end(run.stdin);
    return child;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

async function finished(
  child: ChildProcess,
  clock: Clock,
  stop: (cause: PodplugError) => void,
): Promise<PluginExit> {
  const closed = new Promise<"closed">((resolve) => child.once("close", () => resolve("closed")));
  const exited = ended(child);
  const overflow = (what: string, maxBytes: number): void =>
    stop(new PodplugError("PLUGIN_BAD_OUTPUT", `printed more than ${maxBytes} bytes on ${what}`));
  if (child.stdout === null || child.stderr === null) return { ...(await exited), stdout: "", stderr: "" };
  const stdout = collectOutput(child.stdout, maxStdoutBytes, () => overflow("stdout", maxStdoutBytes));
  const stderr = collectOutput(child.stderr, maxStderrBytes, () => overflow("stderr", maxStderrBytes));

  const exit = await exited;
  for (let round = 0; round < graceRounds; round += 1) {
    const before = stdout.bytes + stderr.bytes;
    if ((await Promise.race([closed, passed(clock, outputGraceMs)])) === "closed") break;
    // After a stall the event loop runs its timers before it reads what came meanwhile.
    await setImmediate();
    if (stdout.bytes + stderr.bytes === before) break;
  }
  return { ...exit, stdout: stdout.text(), stderr: stderr.text() };
}

async function ended(child: ChildProcess): Promise<Pick<PluginExit, "exitCode" | "signal">> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (exitCode, signal) => resolve({ exitCode, signal }));
  });
}

/** Ends the program's process group while its number is still its own, and waits for its end. */
async function endGroup(child: ChildProcess, clock: Clock): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    if (systemCodeOf(error) !== "ESRCH") throw error;
  }
  const exited = new Promise((resolve) => child.once("exit", resolve));
  await Promise.race([exited, passed(clock, goneAfterMs)]);
}

async function passed(clock: Clock, delayMs: number): Promise<"passed"> {
  return new Promise((resolve) => {
    clock.setTimer(delayMs, () => resolve("passed"));
  });
}
