/** Lets so many pieces of work run at a time, the others in the order they came. */
export function createTurns(places: number): <T>(work: () => Promise<T>) => Promise<T> {
  let free = places;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) {
      free -= 1;
    } else {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.push(resolve);
      await promise;
    }
    try {
      return await work();
    } finally {
      // The place is handed on, not freed: a newcomer must not overtake.
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
