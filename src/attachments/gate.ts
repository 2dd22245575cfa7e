/**
 * Bounds how many plugin chains run at once on the node, and lets garbage
 * collection run alone: CNI's GC must not run beside ADD or DEL (spec 1.1.0,
 * section "GC"). First come, first served, so neither kind starves.
 */
export class Gate {
  readonly #capacity: number;
  #running = 0;
  readonly #waiting: { readonly weight: number; readonly enter: () => void }[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** One place of many. */
  async shared<T>(work: () => Promise<T>): Promise<T> {
    return await this.#with(1, work);
  }

  /** All the places: nothing else runs meanwhile. */
  async exclusive<T>(work: () => Promise<T>): Promise<T> {
    return await this.#with(this.#capacity, work);
  }

  async #with<T>(weight: number, work: () => Promise<T>): Promise<T> {
    if (this.#waiting.length > 0 || this.#running + weight > this.#capacity) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.push({ weight, enter: resolve });
      await promise;
    } else {
      this.#running += weight;
    }
    try {
      return await work();
    } finally {
      this.#running -= weight;
      this.#admit();
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      if (this.#running + next.weight > this.#capacity) return;
      this.#waiting.shift();
      this.#running += next.weight;
      next.enter();
    }
  }
}
