import { PodplugError } from "../domain/errors.ts";
import type { InterfaceEvent } from "../domain/node-api.ts";

/** A watcher that lets this many events wait doesn't read: it is cut off, and starts again with a snapshot. */
const maxWaiting = 10_000;

/** Hands every change to every watcher, in order, without waiting for any of them. */
export class Feed {
  readonly #watchers = new Set<Watcher>();
  #stopping: PodplugError | undefined;

  publish(event: InterfaceEvent): void {
    for (const watcher of this.#watchers) watcher.push(event);
  }

  /** Everything published from this call on, until `signal` aborts (a normal end) or the feed closes. */
  subscribe(signal: AbortSignal): AsyncIterable<InterfaceEvent> {
    const watcher = new Watcher();
    this.#watchers.add(watcher);
    const leave = (): void => {
      signal.removeEventListener("abort", leave);
      this.#watchers.delete(watcher);
      watcher.end();
    };
    if (this.#stopping) watcher.end(this.#stopping);
    if (signal.aborted) leave();
    else signal.addEventListener("abort", leave, { once: true });
    return watcher.events(leave);
  }

  /** Every watcher's iteration ends with AGENT_STOPPING, of those to come as well. */
  close(): void {
    this.#stopping = new PodplugError("AGENT_STOPPING", "the agent is shutting down");
    for (const watcher of this.#watchers) watcher.end(this.#stopping);
  }
}

class Watcher {
  readonly #waiting: InterfaceEvent[] = [];
  #wake: () => void = () => undefined;
  #ended = false;
  #error: PodplugError | undefined;

  push(event: InterfaceEvent): void {
    if (this.#ended) return;
    if (this.#waiting.length >= maxWaiting) {
      this.#waiting.length = 0;
      this.end(new PodplugError("RESOURCE_EXHAUSTED", `the watcher left ${maxWaiting} events unread`));
      return;
    }
    this.#waiting.push(event);
    this.#wake();
  }

  end(error?: PodplugError): void {
    this.#ended = true;
    this.#error ??= error;
    this.#wake();
  }

  async *events(leave: () => void): AsyncGenerator<InterfaceEvent> {
    try {
      for (;;) {
        const event = this.#waiting.shift();
        if (event) {
          yield event;
        } else if (this.#ended) {
          if (this.#error) throw this.#error;
          return;
        } else {
          const { promise, resolve } = Promise.withResolvers<void>();
          this.#wake = resolve;
          await promise;
        }
      }
    } finally {
      leave();
    }
  }
}
