import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KillPoint } from "./kill-points.ts";

/** An agent in a process of its own that can be killed at a chosen point. */
export interface AgentProcess extends AsyncDisposable {
  readonly pid: number;
  arm(point: KillPoint): Promise<void>;
  /** Resolves with the signal that ended it, or null. */
  readonly ended: Promise<NodeJS.Signals | null>;
  openFiles(): Promise<number>;
}

/** An agent in a process that has loaded everything and done nothing yet. */
export interface PreparedAgent extends AsyncDisposable {
  /** Resolves once its recovery is complete. Whoever starts it ends it. */
  start(): Promise<AgentProcess>;
}

/** Resolves once its recovery is complete. */
export async function startAgentProcess(configFile: string): Promise<AgentProcess> {
  return await prepareAgentProcess(configFile).start();
}

/** Loading takes longer than all the rest of a start: meanwhile another agent may still run. */
export function prepareAgentProcess(configFile: string): PreparedAgent {
  const child = fork(join(import.meta.dirname, "killable-agent.ts"), [configFile], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: join(tmpdir(), `podplug-compile-cache-${process.getuid?.()}`),
    },
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const ended = once(child, "exit").then(([, signal]) => signal as NodeJS.Signals | null);
  const loaded = answer(child, "loaded", ended);
  // Whoever starts it hears of it; one that is disposed of before ends without having loaded.
  loaded.catch(() => {});
  async function end(): Promise<void> {
    child.kill("SIGKILL");
    await ended;
  }

  return {
    async start() {
      await loaded;
      child.send("start");
      await answer(child, "ready", ended);
      const pid = child.pid ?? 0;
      return {
        pid,
        ended,
        async arm(point) {
          child.send(point);
          await answer(child, "armed", ended);
        },
        openFiles: async () => (await readdir(`/proc/${pid}/fd`)).length,
        [Symbol.asyncDispose]: end,
      };
    },
    [Symbol.asyncDispose]: end,
  };
}

async function answer(child: ChildProcess, expected: string, ended: Promise<unknown>): Promise<void> {
  const died = ended.then(() => {
    throw new Error(`the agent ended before it was ${expected}`);
  });
  const [message] = (await Promise.race([once(child, "message"), died])) as [unknown];
  if (message !== expected) throw new Error(`the agent said ${String(message)} instead of ${expected}`);
}
