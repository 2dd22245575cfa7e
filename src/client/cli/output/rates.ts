import type { JsonValue } from "../../../domain/json.ts";
import type { InterfaceCounters, PodInterface } from "../../../domain/node-api.ts";
import type { Invocation } from "../invocation.ts";
import { placeOf } from "./interface-columns.ts";
import { type Cell, formatTable } from "./table.ts";
import { visible } from "./visible.ts";

/** What one interface carried between two looks, per second. */
export interface InterfaceRates {
  readonly interface: PodInterface;
  readonly rxBps: number;
  readonly txBps: number;
  readonly rxPps: number;
  readonly txPps: number;
  /** Since it was made. */
  readonly counters: InterfaceCounters;
}

/** The busiest first. One that came, went or was made anew meanwhile isn't told of. */
export function ratesBetween(
  first: readonly PodInterface[],
  second: readonly PodInterface[],
  elapsedMs: number,
): readonly InterfaceRates[] {
  const before = new Map(first.map((one) => [identityOf(one), one.counters]));
  const rates = second.flatMap((one): InterfaceRates[] => {
    const earlier = before.get(identityOf(one));
    const { counters } = one;
    if (earlier === undefined || counters === undefined) return [];
    const perSecond = (name: keyof InterfaceCounters): number =>
      Math.max(0, ((counters[name] - earlier[name]) * 1000) / Math.max(1, elapsedMs));
    return [
      {
        interface: one,
        rxBps: perSecond("rxBytes") * 8,
        txBps: perSecond("txBytes") * 8,
        rxPps: perSecond("rxPackets"),
        txPps: perSecond("txPackets"),
        counters,
      },
    ];
  });
  return rates.toSorted((one, other) => other.rxBps + other.txBps - one.rxBps - one.txBps);
}

function identityOf({ sandboxId, index }: PodInterface): string {
  return `${sandboxId} ${index}`;
}

export function rateDocument(rates: readonly InterfaceRates[]): JsonValue {
  return {
    rates: rates.map(({ interface: one, rxBps, txBps, rxPps, txPps, counters }) => ({
      ...(one.pod === undefined ? { netns: one.netns } : { pod: { ...one.pod, uid: one.pod.uid ?? "" } }),
      interface: one.name,
      network: one.network,
      rxBitsPerSecond: Math.round(rxBps),
      txBitsPerSecond: Math.round(txBps),
      rxPacketsPerSecond: Math.round(rxPps),
      txPacketsPerSecond: Math.round(txPps),
      counters: { ...counters },
    })),
  };
}

const titles = ["POD/NETNS", "INTERFACE", "NETWORK", "RX BIT/S", "TX BIT/S", "RX PKT/S", "TX PKT/S"];
const wideTitles = ["RX ERRORS", "TX ERRORS", "RX DROPPED", "TX DROPPED"];

export function formatRates(
  rates: readonly InterfaceRates[],
  { format, colours }: Pick<Invocation, "format" | "colours">,
): string {
  const isWide = format === "wide";
  const heading = [...titles, ...(isWide ? wideTitles : [])].map((text) => ({
    text,
    paint: colours.heading,
  }));
  const rows = rates.map(({ interface: one, rxBps, txBps, rxPps, txPps, counters }): Cell[] => {
    const { rxErrors, txErrors, rxDropped, txDropped } = counters;
    const cells = [
      ...[placeOf(one), one.name, one.network].map((text) => (text === "" ? "-" : visible(text))),
      ...[rxBps, txBps, rxPps, txPps].map(short),
      ...(isWide ? [rxErrors, txErrors, rxDropped, txDropped].map(String) : []),
    ];
    return cells.map((text) => ({ text }));
  });
  return formatTable([heading, ...rows]);
}

/** `0`, `873`, `12.3k`, `1.50G`: three digits, in steps of a thousand, as `--bandwidth` takes them. */
function short(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  let rest = value;
  let unit = 0;
  while (rest >= 999.5 && unit < units.length - 1) {
    rest /= 1000;
    unit += 1;
  }
  return unit === 0 ? String(Math.round(rest)) : `${rest.toPrecision(3)}${units[unit]}`;
}
