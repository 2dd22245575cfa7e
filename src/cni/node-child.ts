import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync } from "node:fs";
import type { Child, ChildEnd } from "./child.ts";
import type { PluginRun } from "./exec-plugin.ts";
import { openStdinFile } from "./stdin-file.ts";

/** Starts a program as Node does it: everywhere, and slower the more memory this process has. */
export async function startNodeChild(run: PluginRun): Promise<Child> {
  const file = openStdinFile(run.stdin);
  try {
    const child = spawn(run.path, [], {
      cwd: "/",
      env: { ...run.env },
      detached: true,
      stdio: [file ?? "pipe", "pipe", "pipe"],
    });
    const ended = new Promise<ChildEnd>((resolve) =>
      child.once("exit", (exitCode, signal) => resolve({ exitCode, signal })),
    );
    // A plugin that doesn't read its input may end first.
    child.stdin?.on("error", () => {});
    child.stdin?.end(run.stdin);
    await once(child, "spawn");
    const { pid, stdout, stderr } = child;
    if (pid === undefined || !stdout || !stderr)
      throw new Error(`${run.path} was started without a PID or pipes`);
    return { pid, stdout, stderr, ended };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
