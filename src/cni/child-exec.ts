import { finished } from "node:stream/promises";
import { setImmediate } from "node:timers/promises";
import type { Clock } from "../domain/clock.ts";
import { PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { Child, StartChild } from "./child.ts";
import { collectOutput } from "./collect-output.ts";
import {
  type ExecPlugin,
  maxStderrBytes,
  maxStdoutBytes,
  outputGraceMs,
  type PluginExit,
} from "./exec-plugin.ts";

/** How long an ended program may take to go, before it is left to those who look for its marker. */
const goneAfterMs = 10_000;

/** How many times a child left behind may go on printing, each `outputGraceMs` long. */
const graceRounds = 10;

/** Runs plugins as children of this process, however they are started. */
export function createChildExec({
  start,
  clock,
}: {
  readonly start: StartChild;
  readonly clock: Clock;
}): ExecPlugin {
  return async (run, signal) => {
    signal.throwIfAborted();
    const child = await start(run);
    const { promise: stopped, reject: stop } = Promise.withResolvers<never>();
    // Observed here, because it may be rejected before anybody awaits it.
    stopped.catch(() => {});
    const onAbort = (): void => stop(signal.reason);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([stopped, outcomeOf(child, clock, stop)]);
    } catch (error) {
      await endGroup(child, clock);
      throw error;
    } finally {
      signal.removeEventListener("abort", onAbort);
      child.stdout.destroy();
      child.stderr.destroy();
    }
  };
}

async function outcomeOf(
  child: Child,
  clock: Clock,
  stop: (cause: PodplugError) => void,
): Promise<PluginExit> {
  const overflow = (what: string, maxBytes: number): void =>
    stop(new PodplugError("PLUGIN_BAD_OUTPUT", `printed more than ${maxBytes} bytes on ${what}`));
  const stdout = collectOutput(child.stdout, maxStdoutBytes, () => overflow("stdout", maxStdoutBytes));
  const stderr = collectOutput(child.stderr, maxStderrBytes, () => overflow("stderr", maxStderrBytes));
  const closed = Promise.allSettled([finished(child.stdout), finished(child.stderr)]).then(
    () => "closed" as const,
  );

  const end = await child.ended;
  for (let round = 0; round < graceRounds; round += 1) {
    const before = stdout.bytes + stderr.bytes;
    if ((await Promise.race([closed, passed(clock, outputGraceMs)])) === "closed") break;
    // After a stall the event loop runs its timers before it reads what came meanwhile.
    await setImmediate();
    if (stdout.bytes + stderr.bytes === before) break;
  }
  return { ...end, stdout: stdout.text(), stderr: stderr.text() };
}

/** Ends the program's process group while its number is still its own, and waits for its end. */
async function endGroup({ pid, ended }: Child, clock: Clock): Promise<void> {
  const isOver = await Promise.race([ended.then(() => true), setImmediate(false)]);
  if (isOver) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if (systemCodeOf(error) !== "ESRCH") throw error;
  }
  await Promise.race([ended, passed(clock, goneAfterMs)]);
}

async function passed(clock: Clock, delayMs: number): Promise<"passed"> {
  return new Promise((resolve) => {
    clock.setTimer(delayMs, () => resolve("passed"));
  });
}
