import { statSync } from "node:fs";
import type { Clock } from "../domain/clock.ts";
import { inodeOf, isPromptPath, type OpenNetns, type OpenNetnsOptions, openNetns } from "./netns.ts";

/**
 * One change of a pod is several looks into its namespace within some
 * milliseconds, and to enter it costs more than to look. Short enough that no
 * namespace outlives its pod by a time that anybody notices.
 */
const holdMs = 250;
/** A look at all of a node's pods doesn't take a descriptor for each. */
const mostHeld = 16;

/** A namespace that was opened, for one user at a time. */
export interface LentNetns extends OpenNetns {
  /** To be called when nothing unread is left in its socket: the next look may have it. */
  giveBack(): void;
}

export interface HeldNamespaces extends Disposable {
  /** As openNetns; disposed of, it is closed unless given back. */
  open(path: string): Promise<LentNetns>;
}

/** Namespaces that stay open for a moment after a look into them. */
export function createHeldNamespaces(clock: Clock, options: OpenNetnsOptions): HeldNamespaces {
  const held = new Map<string, OpenNetns>();
  let timer: Disposable | undefined;

  /** What is held open can't have passed its number on: a path that leads to the number leads to the namespace. */
  function take(path: string): OpenNetns | undefined {
    if (held.size === 0 || !isPromptPath(path)) return undefined;
    const netns = held.get(inodeAt(path) ?? "");
    if (netns) held.delete(netns.inode);
    return netns;
  }

  /** Undefined when there is none to be seen: to open it tells why. */
  function inodeAt(path: string): string | undefined {
    try {
      return inodeOf(statSync(options.seenAt(path), { bigint: true }));
    } catch {
      return undefined;
    }
  }

  function keep(netns: OpenNetns): void {
    if (held.has(netns.inode) || held.size >= mostHeld) {
      netns[Symbol.dispose]();
      return;
    }
    held.set(netns.inode, netns);
    timer ??= clock.setTimer(holdMs, closeAll);
  }

  function closeAll(): void {
    timer?.[Symbol.dispose]();
    timer = undefined;
    for (const netns of held.values()) netns[Symbol.dispose]();
    held.clear();
  }

  return {
    async open(path) {
      const netns = take(path) ?? (await openNetns(path, options));
      let isDone = false;
      return {
        ...netns,
        giveBack: () => {
          isDone = true;
        },
        [Symbol.dispose]: () => (isDone ? keep(netns) : netns[Symbol.dispose]()),
      };
    },
    [Symbol.dispose]: closeAll,
  };
}
