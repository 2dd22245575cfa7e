import type { Clock } from "../domain/clock.ts";
import { systemCodeOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { ExecPlugin, PluginExit, PluginRun } from "./exec-plugin.ts";
import { endProcesses } from "./processes.ts";
import { newRunMarker, runMarkerName } from "./run-marker.ts";
import { wait } from "./wait.ts";

export interface ContainedExecOptions {
  /** How a program is started. */
  readonly exec: ExecPlugin;
  /** Told apart by recovery from other agents' runs; without a slash. */
  readonly agentId: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** As libcni has it: six tries, one second apart. */
const busyTries = 6;
const busyDelayMs = 1000;

/**
 * The same seam with what every way of starting a program needs: a marker in
 * its environment, another try when its file is being replaced, and, when it
 * didn't end by itself, the end of all that escaped its process group, before
 * the promise settles.
 */
export function createContainedExec({ exec, agentId, clock, log }: ContainedExecOptions): ExecPlugin {
  return async (run, signal) => {
    const marker = newRunMarker(agentId);
    const marked = { ...run, env: { ...run.env, [runMarkerName]: marker } };
    let exit: PluginExit | undefined;
    try {
      exit = await execUnlessBusy(exec, marked, clock, signal);
      return exit;
    } finally {
      // What a plugin started and left on purpose before it ended by itself, even with an error, may serve others.
      if (exit === undefined || exit.signal !== null) await endEscaped(marker, clock, log);
    }
  };
}

async function execUnlessBusy(
  exec: ExecPlugin,
  run: PluginRun,
  clock: Clock,
  signal: AbortSignal,
): Promise<PluginExit> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await exec(run, signal);
    } catch (error) {
      if (systemCodeOf(error) !== "ETXTBSY" || tries === busyTries) throw error;
    }
    await wait(clock, busyDelayMs, signal);
  }
}

async function endEscaped(marker: string, clock: Clock, log: Logger): Promise<void> {
  try {
    // On its own time: the caller's signal has aborted, which is why this is needed.
    const { ended, left } = await endProcesses(marker, { clock }, new AbortController().signal);
    if (ended.length > 0) log.warn({ count: ended.length }, "ended what a plugin left running");
    const pids = left.map(({ pid }) => pid);
    if (pids.length > 0) log.error({ pids }, "processes of an ended plugin are left");
  } catch (error) {
    // Why the plugin was ended matters more to the caller.
    log.error({ err: error }, "processes of an ended plugin are left");
  }
}
