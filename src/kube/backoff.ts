const firstDelayMs = 1_000;
const longestDelayMs = 30_000;

/**
 * How long to wait after this many failures in a row (1 or more): half to the
 * whole of a delay that doubles, so that a cluster's nodes come back one after
 * the other. Never less than the server asked for.
 */
export function backoffMs(failures: number, random: () => number, retryAfterMs = 0): number {
  const delayMs = Math.min(firstDelayMs * 2 ** Math.min(failures - 1, 20), longestDelayMs);
  return Math.max(delayMs * (0.5 + random() / 2), retryAfterMs);
}
