import type { Clock } from "../domain/clock.ts";

/** From when on a chain is slow: it waits for something more likely than it works. */
const slowAfterMs = 1_000;

/** As many as a node's pods, so that a network whose plugin hangs can't fill the node with its processes either. */
const maxSlow = 128;

/** For so long it is passed: twice what a chain may take, unless told otherwise. */
const patienceMs = 120_000;

interface Place {
  readonly weight: number;
  /** Beside nothing at all, slow chains among them. */
  readonly alone: boolean;
}

interface Waiting extends Place {
  readonly sinceMs: number;
  readonly enter: () => void;
}

/**
 * Bounds how many plugin chains run at once on the node, and lets garbage
 * collection run alone: CNI's GC must not run beside ADD or DEL (spec 1.1.0,
 * section "GC"). First come, first served, so neither kind starves. A slow
 * chain gives its place to the next, or a few plugins that hang would keep
 * every other pod waiting. For the same reason a collection that waits for slow
 * chains is passed, for a time, by what comes later.
 */
export class Gate {
  readonly #capacity: number;
  readonly #clock: Clock;
  #running = 0;
  #slow = 0;
  readonly #waiting: Waiting[] = [];

  constructor(options: { readonly capacity: number; readonly clock: Clock }) {
    this.#capacity = options.capacity;
    this.#clock = options.clock;
  }

  /** One place of many. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter({ weight: 1, alone: false });
    let isSlow = false;
    using _timer = this.#clock.setTimer(slowAfterMs, () => {
      if (this.#slow >= maxSlow) return;
      isSlow = true;
      this.#slow += 1;
      this.#leave(1);
    });
    try {
      return await work();
    } finally {
      if (isSlow) {
        this.#slow -= 1;
        this.#admit();
      } else {
        this.#leave(1);
      }
    }
  }

  /** All the places: nothing else runs meanwhile. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    await this.#enter({ weight: this.#capacity, alone: true });
    try {
      return await work();
    } finally {
      this.#leave(this.#capacity);
    }
  }

  async #enter(place: Place): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ ...place, sinceMs: this.#clock.steadyMs(), enter: resolve });
    this.#admit();
    await promise;
  }

  #leave(weight: number): void {
    this.#running -= weight;
    this.#admit();
  }

  #hasRoom({ weight, alone }: Place): boolean {
    return this.#running + weight <= this.#capacity && (!alone || this.#slow === 0);
  }

  #mayBePassed({ alone, sinceMs }: Waiting): boolean {
    return alone && this.#slow > 0 && this.#clock.steadyMs() - sinceMs < patienceMs;
  }

  #admit(): void {
    for (let next = this.#next(); next; next = this.#next()) {
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#running += next.weight;
      next.enter();
    }
  }

  #next(): Waiting | undefined {
    const first = this.#waiting.find((each) => !this.#mayBePassed(each));
    return first && this.#hasRoom(first) ? first : undefined;
  }
}
