import { createChildExec } from "../../src/cni/child-exec.ts";
import { type Cni, createCni } from "../../src/cni/cni.ts";
import { createContainedExec } from "../../src/cni/contained-exec.ts";
import type { ExecPlugin } from "../../src/cni/exec-plugin.ts";
import { startNodeChild } from "../../src/cni/node-child.ts";
import { type Clock, systemClock } from "../../src/domain/clock.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { type Logger, silentLogger } from "../../src/domain/log.ts";

/** Never aborts. */
export const untilDone = new AbortController().signal;

/** What plugins in shell need. */
export const pluginEnv = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };

function makeExec(log: Logger = silentLogger): ExecPlugin {
  const clock = systemClock;
  return createContainedExec({
    exec: createChildExec({ start: startNodeChild, clock }),
    agentId: "test",
    clock,
    log,
  });
}

export function makeCni(binDirs: readonly string[], log: Logger = silentLogger): Cni {
  return createCni({ binDirs, env: pluginEnv, exec: makeExec(log), log });
}

/** Time that passes at once; what was waited for stands in `delays`. */
export function impatientClock(onWait: () => void = () => {}): Clock & { readonly delays: number[] } {
  const delays: number[] = [];
  return {
    delays,
    now: () => new Date(0),
    steadyMs: () => 0,
    setTimer(delayMs, action) {
      delays.push(delayMs);
      onWait();
      const timer = setImmediate(action);
      return { [Symbol.dispose]: () => clearImmediate(timer) };
    },
  };
}

/** What was logged, for tests of what only a log can tell. */
export function recordingLogger(): Logger & { readonly lines: { facts: object; message: string }[] } {
  const lines: { facts: object; message: string }[] = [];
  const write = (facts: object, message: string): void => void lines.push({ facts, message });
  const logger = { lines, debug: write, info: write, warn: write, error: write, child: () => logger };
  return logger;
}

/** What came of it: the answer, or the PodplugError that was thrown; anything else that is thrown comes through. */
export function outcomeOf<Answer>(attempt: () => Answer): Answer | PodplugError {
  try {
    return attempt();
  } catch (error) {
    if (error instanceof PodplugError) return error;
    throw error;
  }
}
