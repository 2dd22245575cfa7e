import type { Clock } from "../domain/clock.ts";

/** From when on a chain is slow: it waits for something more likely than it works. */
const slowAfterMs = 1_000;

/** As many as a node's pods, so that a network whose plugin hangs can't fill the node with its processes either. */
const maxSlow = 128;

interface Place {
  readonly weight: number;
  /** Beside nothing at all, slow chains among them. */
  readonly alone: boolean;
}

/**
 * Bounds how many plugin chains run at once on the node, and lets garbage
 * collection run alone: CNI's GC must not run beside ADD or DEL (spec 1.1.0,
 * section "GC"). First come, first served, so neither kind starves. A slow
 * chain gives its place to the next, or a few plugins that hang would keep
 * every other pod waiting.
 */
export class Gate {
  readonly #capacity: number;
  readonly #clock: Clock;
  #running = 0;
  #slow = 0;
  readonly #waiting: { readonly place: Place; readonly enter: () => void }[] = [];

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
    if (this.#waiting.length === 0 && this.#hasRoom(place)) {
      this.#running += place.weight;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ place, enter: resolve });
    await promise;
  }

  #leave(weight: number): void {
    this.#running -= weight;
    this.#admit();
  }

  #hasRoom({ weight, alone }: Place): boolean {
    return this.#running + weight <= this.#capacity && (!alone || this.#slow === 0);
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next && this.#hasRoom(next.place); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#running += next.place.weight;
      next.enter();
    }
  }
}
