export interface Row {
  readonly what: string;
  readonly valuesMs: readonly number[];
}

/** Minimum, median and 90th percentile of each row. */
export function figuresTable(rows: readonly Row[]): string {
  return [
    "| ms | min | median | p90 |",
    "|---|---|---|---|",
    ...rows.map(({ what, valuesMs }) => {
      const sorted = valuesMs.toSorted((a, b) => a - b);
      const at = (share: number): string => (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1);
      return `| ${what} | ${at(0)} | ${at(0.5)} | ${at(0.9)} |`;
    }),
  ].join("\n");
}
