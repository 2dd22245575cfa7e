/** The agent at one moment, and since the one before. */
export interface Sample {
  readonly minute: number;
  readonly residentBytes: number;
  readonly callsPerSecond: number;
  readonly cpuPercent: number;
  readonly openFiles: number;
}

export interface Soak {
  readonly minutes: number;
  readonly namespaces: number;
  readonly calls: number;
  readonly samples: readonly Sample[];
  /** What calls failed with. */
  readonly failures: readonly string[];
  /** What is left when everything was detached. */
  readonly left: readonly string[];
}

/** How much more memory the last third may take than the one before; the first is warming up. */
const mostGrowth = 0.05;
const rows = 12;

/** The figures for people, and whether the soak is as promised. */
export function reportOf(soak: Soak): { readonly text: string; readonly passed: boolean } {
  const { minutes, namespaces, calls, samples, failures, left } = soak;
  const third = Math.floor(samples.length / 3);
  const middle = median(samples.slice(third, 2 * third).map(({ residentBytes }) => residentBytes));
  const last = median(samples.slice(2 * third).map(({ residentBytes }) => residentBytes));
  const growth = last / middle - 1;
  const text = `# Soak

\`make soak\` attaches and detaches at full rate in ${namespaces} network namespaces: a bridge under a given
name, and a chain (bridge, tuning) under a chosen one, with real plugins and the agent as it is
shipped. The last run: ${minutes} minutes, ${calls} calls.

- ${failures.length} calls failed, ${left.length} things were left when everything was detached.
- Resident memory: median ${megabytes(middle)} MiB in the second third, ${megabytes(last)} MiB in the last:
  ${(growth * 100).toFixed(1)} % growth (at most ${mostGrowth * 100} % is promised; the first third warms up).

![Resident memory and calls a second over time](soak.svg)

| minute | resident MiB (median) | most | calls/s | agent's CPU | open files |
|---|---|---|---|---|---|
${slices(samples).map(row).join("\n")}
${faults(failures, left)}`;
  const passed = failures.length === 0 && left.length === 0 && growth <= mostGrowth && calls > 0;
  return { text, passed };
}

function slices(samples: readonly Sample[]): readonly (readonly Sample[])[] {
  const size = Math.max(1, Math.ceil(samples.length / rows));
  return Array.from({ length: Math.ceil(samples.length / size) }, (_, at) =>
    samples.slice(at * size, (at + 1) * size),
  );
}

function row(slice: readonly Sample[]): string {
  const of = (key: keyof Sample): readonly number[] => slice.map((sample) => sample[key]);
  const cells = [
    `${(slice[0]?.minute ?? 0).toFixed(1)} to ${(slice.at(-1)?.minute ?? 0).toFixed(1)}`,
    megabytes(median(of("residentBytes"))),
    megabytes(Math.max(...of("residentBytes"))),
    median(of("callsPerSecond")).toFixed(0),
    `${median(of("cpuPercent")).toFixed(0)} %`,
    String(Math.max(...of("openFiles"))),
  ];
  return `| ${cells.join(" | ")} |`;
}

function faults(failures: readonly string[], left: readonly string[]): string {
  const lines = [...failures.map((each) => `failed: ${each}`), ...left.map((each) => `left: ${each}`)];
  return lines.length === 0
    ? ""
    : `\n${lines
        .slice(0, 20)
        .map((line) => `- ${line}`)
        .join("\n")}\n`;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

function megabytes(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
