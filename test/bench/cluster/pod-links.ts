import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { unlessAborted } from "../../../src/domain/signals.ts";

export type LinkChange = "link" | "address" | "gone";

/** The kernel's own word of when an interface of a pod came, got its address and went. */
export interface PodLinks extends AsyncDisposable {
  /** When it happens next, on `performance`'s clock; ask before the cause. */
  next(change: LinkChange): Promise<number>;
}

/** Of IPv4, as the benchmark's networks have it. `ip monitor` writes a line for each message of rtnetlink. */
export async function followLinks(netnsPath: string, ifName: string): Promise<PodLinks> {
  const child = spawn(
    "nsenter",
    [`--net=${netnsPath}`, "--", "ip", "-o", "monitor", "link", "address", "label"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const exited = once(child, "exit");
  const waiting = new Map<LinkChange, PromiseWithResolvers<number>>();
  createInterface({ input: child.stdout }).on("line", (line) => {
    const change = changeIn(line, ifName);
    if (change === undefined) return;
    waiting.get(change)?.resolve(performance.now());
    waiting.delete(change);
  });
  return {
    async next(change) {
      const next = Promise.withResolvers<number>();
      waiting.set(change, next);
      return await unlessAborted(
        next.promise,
        AbortSignal.timeout(30_000),
        `waiting for ${ifName}: ${change}`,
      );
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** `[LINK]3: net1@if9: <BROADCAST…`, `[ADDR]3: net1    inet 10.0.0.2/24 …`, `[LINK]Deleted 3: net1@…`. */
function changeIn(line: string, ifName: string): LinkChange | undefined {
  const [, kind, deleted, name, rest = ""] =
    /^\[(LINK|ADDR)\](Deleted )?\d+: ([^@:\s]+)\S*\s+(.*)$/.exec(line) ?? [];
  if (name !== ifName) return undefined;
  if (kind === "LINK") return deleted ? "gone" : "link";
  return !deleted && rest.startsWith("inet ") ? "address" : undefined;
}
