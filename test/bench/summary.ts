/** One round: how long each call took, and all of them together. */
export interface Sample {
  readonly latenciesMs: readonly number[];
  readonly totalMs: number;
}

interface Result {
  readonly verb: string;
  readonly inFlight: number;
  readonly bare: readonly Sample[];
  readonly podplug: readonly Sample[];
}

/** The medians and 99th percentiles in milliseconds, the throughput in operations a second, and the ratios. */
export function summaryTable(results: readonly Result[], samples: number): string {
  const rows = results.map(({ verb, inFlight, bare, podplug }) => {
    const [ours, floor] = [summary(podplug), summary(bare)];
    const ratio = inFlight === 1 ? ours.median / floor.median : floor.perSecond / ours.perSecond;
    return [
      verb,
      String(inFlight),
      `${ours.median.toFixed(1)} (${ours.p99.toFixed(1)})`,
      `${floor.median.toFixed(1)} (${floor.p99.toFixed(1)})`,
      ours.perSecond.toFixed(0),
      floor.perSecond.toFixed(0),
      ratio.toFixed(2),
    ];
  });
  return [
    `${samples} calls each, bridge with host-local addresses; median (99th percentile) in ms, calls a second; the`,
    "ratio is podplug's median over the bare plugin's at 1 in flight, else the bare plugin's rate over podplug's.",
    "",
    "| call | in flight | podplug | bare plugin | podplug/s | bare/s | ratio |",
    "|---|---|---|---|---|---|---|",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}

function summary(samples: readonly Sample[]) {
  const sorted = samples.flatMap((sample) => sample.latenciesMs).toSorted((a, b) => a - b);
  const totalMs = samples.reduce((sum, sample) => sum + sample.totalMs, 0);
  return {
    median: sorted[Math.floor(sorted.length / 2)] ?? 0,
    p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    perSecond: (sorted.length / totalMs) * 1000,
  };
}
