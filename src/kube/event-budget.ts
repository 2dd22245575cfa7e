/** Tokens that are spent one by one and come back with time. */
export interface BudgetOptions {
  readonly burst: number;
  readonly refillMs: number;
}

/** A share for each key; the keys seen last are remembered, the others begin anew. */
export class Budgets {
  readonly #options: BudgetOptions;
  readonly #maxKeys: number;
  readonly #spent = new Map<string, { readonly tokens: number; readonly at: number }>();

  constructor(options: BudgetOptions, maxKeys: number) {
    this.#options = options;
    this.#maxKeys = maxKeys;
  }

  /** Whether there was one left to take; `at` in milliseconds that only go forward. */
  take(key: string, at: number): boolean {
    const { burst, refillMs } = this.#options;
    const before = this.#spent.get(key) ?? { tokens: burst, at };
    const tokens = Math.min(burst, before.tokens + (at - before.at) / refillMs);
    this.#spent.delete(key);
    this.#spent.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at });
    const [oldest] = this.#spent.keys();
    if (this.#spent.size > this.#maxKeys && oldest !== undefined) this.#spent.delete(oldest);
    return tokens >= 1;
  }
}
