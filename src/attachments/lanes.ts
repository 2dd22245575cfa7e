import type { PodplugError } from "../domain/errors.ts";
import { unlessAborted } from "../domain/signals.ts";

/**
 * One queue for each sandbox: CNI wants the attachments of one container
 * worked on one after the other (spec 1.1.0, section "Lifecycle & Ordering"),
 * while those of different containers go side by side.
 */
export class Lanes {
  readonly #tails = new Map<string, Promise<void>>();
  readonly #held = new Map<string, PodplugError>();

  /**
   * Runs `task` once everything before it in the lane has ended. A caller that
   * aborts stops waiting: a task that hasn't begun never will, one that has
   * goes on to its end, unheard. In a lane that is held nothing begins.
   */
  async run<T>(lane: string, task: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const why = this.#held.get(lane);
    if (why) throw why;
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

  /** Refuses with `why` all that comes to the lane, until disposed of. */
  hold(lane: string, why: PodplugError): Disposable {
    this.#held.set(lane, why);
    return { [Symbol.dispose]: () => void this.#held.delete(lane) };
  }

  /** Resolves when nothing is queued or running, also what was queued meanwhile. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values());
  }
}
