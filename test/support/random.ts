/** A sequence of numbers that its seed alone decides. */
export interface Random {
  /** From 0 up to, but not, 1. */
  next(): number;
  /** A whole number from 0 up to, but not, `end`. */
  below(end: number): number;
  /** One of them. */
  of<T>(items: readonly [T, ...T[]]): T;
  /** True so often of 1. */
  chance(share: number): boolean;
  /** Another sequence, that this name and this sequence's seed decide. */
  fork(name: string): Random;
}

/** By the splitmix32 generator: enough to spread test cases, and the same on every machine. */
export function createRandom(seed: number): Random {
  let state = seed | 0;
  const next = (): number => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = state ^ (state >>> 16);
    mixed = Math.imul(mixed, 0x21f0aaad);
    mixed ^= mixed >>> 15;
    mixed = Math.imul(mixed, 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  const below = (end: number): number => Math.floor(next() * end);
  return {
    next,
    below,
    of: (items) => items[below(items.length)] ?? items[0],
    chance: (share) => next() < share,
    fork(name) {
      let forked = seed | 0;
      for (const character of name) forked = Math.imul(forked ^ (character.codePointAt(0) ?? 0), 0x01000193);
      return createRandom(forked);
    },
  };
}
