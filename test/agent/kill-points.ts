import { setTimeout as sleep } from "node:timers/promises";
import type { AgentParts } from "../../src/agent.ts";
import { createFileSteps } from "../../src/attachments/file-steps.ts";

/** Where the agent dies: at the `nth` time that it comes to the step. */
export interface KillPoint {
  readonly step: "content" | "rename" | "directory" | "unlink" | "plugin";
  readonly nth: number;
  readonly when: "before" | "half" | "after";
  /** For `half` of a plugin: how long it has run by then. */
  readonly delayMs?: number;
}

export function nameOf({ step, nth, when }: KillPoint): string {
  return `${step} ${nth} ${when}`;
}

/** The agent's parts, which end the process by SIGKILL at the point that was last armed. */
export function withKillPoints(own: AgentParts, armed: () => KillPoint | undefined): AgentParts {
  const counts = new Map<string, number>();
  let counted: KillPoint | undefined;

  function die(): never {
    process.kill(process.pid, "SIGKILL");
    // The signal is pending by now; nothing may run until it is delivered.
    for (;;);
  }

  /** The armed point, when it is about this very time of the step. */
  function pointAt(step: KillPoint["step"]): KillPoint | undefined {
    const point = armed();
    if (point !== counted) counts.clear();
    counted = point;
    const count = (counts.get(step) ?? 0) + 1;
    counts.set(step, count);
    return point?.step === step && point.nth === count ? point : undefined;
  }

  async function around<T>(
    step: KillPoint["step"],
    work: () => Promise<T>,
    half: (point: KillPoint) => Promise<unknown>,
  ): Promise<T> {
    const point = pointAt(step);
    if (point?.when === "before") die();
    if (point?.when === "half") {
      await half(point);
      die();
    }
    const result = await work();
    if (point?.when === "after") die();
    return result;
  }

  const { steps, exec } = own;
  return {
    steps: {
      ...steps,
      writeSynced: (path, content) =>
        around(
          "content",
          () => steps.writeSynced(path, content),
          () => createFileSteps().writeSynced(path, content.slice(0, content.length / 2)),
        ),
      rename: (from, to) =>
        around(
          "rename",
          () => steps.rename(from, to),
          async () => undefined,
        ),
      syncDirectory: (path) =>
        around(
          "directory",
          () => steps.syncDirectory(path),
          async () => undefined,
        ),
      unlink: (path) =>
        around(
          "unlink",
          () => steps.unlink(path),
          async () => undefined,
        ),
    },
    exec: (run, signal) => {
      let running: Promise<unknown> = Promise.resolve();
      return around(
        "plugin",
        () => exec(run, signal),
        async ({ delayMs = 0 }) => {
          running = exec({ ...run, env: { ...run.env, PODPLUG_TEST_LINGER: "1" } }, signal);
          await Promise.race([running, sleep(delayMs)]);
        },
      );
    },
  };
}
