import type { Sample } from "./report.ts";

const width = 800;
const height = 320;
const margin = { left: 60, right: 60, top: 20, bottom: 40 };

interface Scale {
  readonly most: number;
  readonly at: (value: number) => number;
}

/** Resident memory and calls a second over time, as a picture that a browser shows. */
export function drawSoak(samples: readonly Sample[]): string {
  const time = scaleOf(
    samples.map(({ minute }) => minute),
    margin.left,
    width - margin.right,
  );
  const memory = vertical(samples.map(({ residentBytes }) => residentBytes / 2 ** 20));
  const rate = vertical(samples.map(({ callsPerSecond }) => callsPerSecond));
  const line = (value: (sample: Sample) => number, scale: Scale): string =>
    samples
      .map((sample) => `${time.at(sample.minute).toFixed(1)},${scale.at(value(sample)).toFixed(1)}`)
      .join(" ");
  const bottom = height - margin.bottom;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
${marks(memory)
  .map((value) => tick(margin.left - 6, memory.at(value), String(value), "end"))
  .join("\n")}
${marks(rate)
  .map((value) => tick(width - margin.right + 6, rate.at(value), String(value), "start"))
  .join("\n")}
${marks(time)
  .map((value) => tick(time.at(value), bottom + 18, `${value} min`, "middle"))
  .join("\n")}
<polyline points="${margin.left},${margin.top} ${margin.left},${bottom} ${width - margin.right},${bottom}" fill="none" stroke="black"/>
<polyline points="${line(({ callsPerSecond }) => callsPerSecond, rate)}" fill="none" stroke="#d08020" stroke-opacity="0.6"/>
<polyline points="${line(({ residentBytes }) => residentBytes / 2 ** 20, memory)}" fill="none" stroke="#2060c0" stroke-width="2"/>
<text x="${margin.left + 8}" y="${margin.top + 4}" fill="#2060c0">resident memory, MiB</text>
<text x="${width - margin.right - 8}" y="${margin.top + 4}" fill="#d08020" text-anchor="end">calls a second</text>
</svg>
`;
}

function vertical(values: readonly number[]): Scale {
  return scaleOf(values, height - margin.bottom, margin.top);
}

/** From nothing to the next round number above the greatest. */
function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const greatest = Math.max(1, ...values);
  const unit = 10 ** Math.floor(Math.log10(greatest));
  const most = Math.ceil((greatest * 1.1) / unit) * unit;
  return { most, at: (value) => from + (value / most) * (to - from) };
}

function marks({ most }: Scale): readonly number[] {
  return [0, 1, 2, 3, 4].map((quarter) => (most * quarter) / 4);
}

function tick(x: number, y: number, text: string, anchor: "start" | "middle" | "end"): string {
  return `<text x="${x.toFixed(1)}" y="${(y + 4).toFixed(1)}" text-anchor="${anchor}">${text}</text>`;
}
