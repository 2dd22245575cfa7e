import type { PosixSpawn } from "./posix-spawn.ts";

export type ChildEnd = NonNullable<ReturnType<PosixSpawn["reap"]>>;

/**
 * Learns of the end of children that Node doesn't know. Listens for SIGCHLD
 * only while there are any; Node's own children are left to Node.
 */
export class Children {
  readonly #native: PosixSpawn;
  readonly #waiting = new Map<number, (end: ChildEnd) => void>();
  readonly #onSignal = (): void => this.#reapAll();

  constructor(native: PosixSpawn) {
    this.#native = native;
  }

  /** To be called right after the child was started, before anything else can run. */
  ended(pid: number): Promise<ChildEnd> {
    if (this.#waiting.size === 0) process.on("SIGCHLD", this.#onSignal);
    const { promise, resolve } = Promise.withResolvers<ChildEnd>();
    this.#waiting.set(pid, resolve);
    // It may have ended before the listener was there.
    this.#reap(pid);
    return promise;
  }

  #reapAll(): void {
    // One signal may stand for many children.
    for (const pid of [...this.#waiting.keys()]) this.#reap(pid);
  }

  #reap(pid: number): void {
    const end = this.#native.reap(pid);
    if (!end) return;
    this.#waiting.get(pid)?.(end);
    this.#waiting.delete(pid);
    if (this.#waiting.size === 0) process.off("SIGCHLD", this.#onSignal);
  }
}
