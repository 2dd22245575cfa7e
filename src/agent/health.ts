import type { PodFeed } from "../kube/contract.ts";
import type { SandboxLocator } from "../sandbox/contract.ts";
import type { Check, Checks } from "../server/ops.ts";

export interface Health {
  /** Only a new process cures it: a part of this one has ended. */
  readonly live: Checks;
  /**
   * Whether calls are served and can do their work. What earlier runs left is
   * no part of it: recovery holds up the sandbox that it is about, and nothing
   * else.
   */
  readonly ready: Checks;
  enter(phase: "serving" | "stopping"): void;
  /** A part ended that should run as long as the process. */
  lost(part: string): void;
  require(name: string, check: Check): void;
}

export function createHealth(): Health {
  let phase: "starting" | "serving" | "stopping" = "starting";
  const lost: string[] = [];
  const ready: Record<string, Check> = {
    api: () => (phase === "serving" ? undefined : `podplug is ${phase}`),
  };
  return {
    live: {
      parts: () => (lost.length === 0 ? undefined : `${lost.join(" and ")} ended by a fault; see the log`),
    },
    ready,
    enter(next) {
      phase = next;
    },
    lost: (part) => void lost.push(part),
    require(name, check) {
      ready[name] = check;
    },
  };
}

/** How long an answer of the runtime's is good for: probes must not add to what burdens it. */
const keptMs = 1_000;

/** Whether the container runtime answers: without it no pod's namespace can be found. */
export function runtimeAnswers(sandboxes: Pick<SandboxLocator, "describe">): Check {
  let asked: { readonly at: number; readonly answer: Promise<undefined> } | undefined;
  return async (signal) => {
    if (asked === undefined || performance.now() - asked.at > keptMs) {
      const answer = sandboxes.describe(signal).then(() => undefined);
      asked = { at: performance.now(), answer };
    }
    return await asked.answer;
  };
}

/**
 * Whether the node's pods were told once. An API server that goes away later
 * leaves what was known good: nodes that all became unready with it would be
 * one more trouble.
 */
export function podsAreKnown(
  pods: PodFeed,
  stopped: AbortSignal,
): { check: Check; following: Promise<void> } {
  let known = false;
  async function follow(): Promise<void> {
    for await (const event of pods.watch(stopped)) {
      if (event.kind !== "synced") continue;
      known = true;
      return;
    }
  }
  return {
    check: () => (known ? undefined : "the API server hasn't told this node's pods yet; see the log"),
    following: follow(),
  };
}
