import type { PosixSpawn } from "./posix-spawn.ts";

export type ChildEnd = NonNullable<ReturnType<PosixSpawn["reap"]>>;

/** How often children are looked at without a signal: it also keeps the process going while there are any. */
const lookIntervalMs = 1_000;

/**
 * Learns of the end of children that Node doesn't know. Listens for SIGCHLD
 * only while there are any; Node's own children are left to Node.
 */
export class Children {
  readonly #native: PosixSpawn;
  readonly #waiting = new Map<number, (end: ChildEnd) => void>();
  readonly #reapAll = (): void => {
    // One signal may stand for many children.
    for (const pid of this.#waiting.keys()) this.#reap(pid);
  };
  #timer: NodeJS.Timeout | undefined;

  constructor(native: PosixSpawn) {
    this.#native = native;
  }

  /** To be called right after the child was started, before anything else can run. */
  ended(pid: number): Promise<ChildEnd> {
    if (this.#waiting.size === 0) {
      process.on("SIGCHLD", this.#reapAll);
      this.#timer = setInterval(this.#reapAll, lookIntervalMs);
    }
    const { promise, resolve } = Promise.withResolvers<ChildEnd>();
    this.#waiting.set(pid, resolve);
    // It may have ended before the listener was there.
    this.#reap(pid);
    return promise;
  }

  #reap(pid: number): void {
    const end = this.#native.reap(pid);
    if (!end) return;
    this.#waiting.get(pid)?.(end);
    this.#waiting.delete(pid);
    if (this.#waiting.size > 0) return;
    process.off("SIGCHLD", this.#reapAll);
    clearInterval(this.#timer);
  }
}
