import { unlessAborted } from "../domain/signals.ts";

/**
 * One queue for each sandbox: CNI wants the attachments of one container
 * worked on one after the other (spec 1.1.0, section "Lifecycle & Ordering"),
 * while those of different containers go side by side.
 */
export class Lanes {
  readonly #tails = new Map<string, Promise<void>>();

  /**
   * Runs `task` once everything before it in the lane has ended. A caller that
   * aborts stops waiting: a task that hasn't begun never will, one that has
   * goes on to its end, unheard.
   */
  async run<T>(lane: string, task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const before = this.#tails.get(lane) ?? Promise.resolve();
    const done = before.then(() => {
      signal.throwIfAborted();
      return task();
    });
    const leave = (): void => {
      if (this.#tails.get(lane) === tail) this.#tails.delete(lane);
    };
    const tail: Promise<void> = done.then(leave, leave);
    this.#tails.set(lane, tail);
    return await unlessAborted(done, signal, "waiting for the sandbox's earlier work");
  }

  /** Resolves when nothing is queued or running, also what was queued meanwhile. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
