import { createHistogram } from "node:perf_hooks";

/** Each look wakes the process: prom-client's hundred a second cost an idle agent half a percent of a processor. */
const lookMs = 1000;

/**
 * How late the event loop comes to a timer, looked at once a second: in
 * seconds, by the names that prom-client gives its own. `p99` is to be read
 * last; the figures begin anew then.
 */
export function watchEventLoopLag(): Readonly<Record<string, () => number>> {
  const histogram = createHistogram();
  let dueMs = performance.now() + lookMs;
  setInterval(() => {
    const nowMs = performance.now();
    histogram.record(Math.max(1, Math.round((nowMs - dueMs) * 1e6)));
    dueMs = nowMs + lookMs;
  }, lookMs).unref();
  const told = (nanoseconds: () => number) => (): number => (histogram.count === 0 ? 0 : nanoseconds() / 1e9);
  return {
    min: told(() => histogram.min),
    max: told(() => histogram.max),
    mean: told(() => histogram.mean),
    stddev: told(() => histogram.stddev),
    p50: told(() => histogram.percentile(50)),
    p90: told(() => histogram.percentile(90)),
    p99: told(() => {
      const p99 = histogram.percentile(99);
      histogram.reset();
      return p99;
    }),
  };
}
