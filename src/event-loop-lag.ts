import { monitorEventLoopDelay } from "node:perf_hooks";

/**
 * Each look wakes the process: prom-client's hundred a second cost an idle
 * agent half a percent of a processor. These wake no JavaScript.
 */
const lookMs = 1000;

/**
 * How late the event loop comes to a timer, looked at once a second: in
 * seconds, by the names that prom-client gives its own. `p99` is to be read
 * last; the figures begin anew then.
 */
export function watchEventLoopLag(): Readonly<Record<string, () => number>> {
  const histogram = monitorEventLoopDelay({ resolution: lookMs });
  histogram.enable();
  /** The histogram holds the time from look to look, which is a second when nothing is late. */
  const late = (nanoseconds: () => number) => (): number =>
    histogram.count === 0 ? 0 : Math.max(0, nanoseconds() / 1e9 - lookMs / 1000);
  return {
    min: late(() => histogram.min),
    max: late(() => histogram.max),
    mean: late(() => histogram.mean),
    stddev: () => (histogram.count === 0 ? 0 : histogram.stddev / 1e9),
    p50: late(() => histogram.percentile(50)),
    p90: late(() => histogram.percentile(90)),
    p99: late(() => {
      const p99 = histogram.percentile(99);
      histogram.reset();
      return p99;
    }),
  };
}
