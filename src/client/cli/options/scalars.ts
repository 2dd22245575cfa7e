import { InvalidArgumentError } from "commander";

/** For an option that may be given many times: `collect(previous)` of each value. */
export function collected(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}

const durationUnitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `90`, `90s`, `1.5m`, `500ms` as milliseconds. */
export function parseDurationMs(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  const durationMs =
    match === null ? Number.NaN : Math.round(Number(match[1]) * (durationUnitMs[match[2] ?? "s"] ?? 1));
  // Longer ones overflow Node's timers.
  if (!(durationMs >= 1 && durationMs <= 0x7fff_ffff)) {
    throw new InvalidArgumentError("Use a duration such as 30s, 2m or 500ms.");
  }
  return durationMs;
}

const decimal: Readonly<Record<string, number>> = { "": 1, k: 1e3, K: 1e3, M: 1e6, G: 1e9, T: 1e12 };
const binary: Readonly<Record<string, number>> = { Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30, Ti: 2 ** 40 };

/** `10M`, `1.5G`, `64Ki`, `8000` as a whole number; undefined when it isn't one. */
export function parseQuantity(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)([kKMGT]i?)?$/.exec(text);
  if (match === null) return undefined;
  const factor = decimal[match[2] ?? ""] ?? binary[match[2] ?? ""];
  // 1.1 * 1e9 isn't whole in floating point, though 1.1G is.
  const quantity = factor === undefined ? Number.NaN : Number((Number(match[1]) * factor).toPrecision(15));
  return Number.isSafeInteger(quantity) ? quantity : undefined;
}
