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

/** Resolves once its recovery is complete. */
export async function startAgentProcess(configFile: string): Promise<AgentProcess> {
  const child = fork(join(import.meta.dirname, "killable-agent.ts"), [configFile], {
    stdio: ["ignore", "ignore", "inherit", "ipc"],
    env: {
      ...process.env,
      NODE_COMPILE_CACHE: join(tmpdir(), `podplug-compile-cache-${process.getuid?.()}`),
    },
    execArgv: ["--disable-warning=ExperimentalWarning"],
  });
  const ended = once(child, "exit").then(([, signal]) => signal as NodeJS.Signals | null);
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
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function answer(child: ChildProcess, expected: string, ended: Promise<unknown>): Promise<void> {
  const died = ended.then(() => {
    throw new Error(`the agent ended before it was ${expected}`);
  });
  const [message] = (await Promise.race([once(child, "message"), died])) as [unknown];
  if (message !== expected) throw new Error(`the agent said ${String(message)} instead of ${expected}`);
}
