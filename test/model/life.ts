/**
 * One run of an engine, which may be killed at any call it makes: that call and
 * all later ones never return, and what was under way by then still happens, as
 * it may when a process is killed.
 */
export interface Life {
  readonly isDead: boolean;
  /** Calls that are under way. */
  readonly pending: number;
  /** Resolves when it dies. */
  readonly death: Promise<void>;
  /** It dies instead of making the nth call from now on; with `undefined` it goes on living. */
  killAt(nth: number | undefined): void;
  /** The same part, as this life calls it. */
  give<T extends object>(part: T): T;
}

export function createLife(): Life {
  const death = Promise.withResolvers<void>();
  const never = new Promise<never>(() => undefined);
  let isDead = false;
  let pending = 0;
  let left = Number.POSITIVE_INFINITY;

  async function call(work: () => unknown): Promise<unknown> {
    left -= 1;
    if (left <= 0 && !isDead) {
      isDead = true;
      death.resolve();
    }
    if (isDead) return await never;
    pending += 1;
    const outcome = await Promise.allSettled([(async () => await work())()]);
    pending -= 1;
    if (isDead) return await never;
    const [result] = outcome;
    if (result.status === "rejected") throw result.reason;
    return result.value;
  }

  return {
    get isDead() {
      return isDead;
    },
    get pending() {
      return pending;
    },
    death: death.promise,
    killAt(nth = Number.POSITIVE_INFINITY) {
      left = nth;
    },
    give: (part) =>
      new Proxy(part, {
        get(target, key) {
          const value: unknown = Reflect.get(target, key);
          if (typeof value !== "function") return value;
          return (...args: readonly unknown[]) => call(() => Reflect.apply(value, target, args) as unknown);
        },
      }),
  };
}
