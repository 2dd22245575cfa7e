/** What keeps a network's packets apart from another's on the wire. */
export type SegmentKind = "vlan" | "vxlan";

export interface TagRange {
  readonly first: number;
  readonly last: number;
}

/** Of VLANs, 0 and 4095 are reserved (IEEE 802.1Q); a VXLAN network identifier has 24 bits (RFC 7348). */
const largest = { vlan: 4094, vxlan: 2 ** 24 - 1 } as const satisfies Record<SegmentKind, number>;

export function isSegmentKind(word: string): word is SegmentKind {
  return Object.hasOwn(largest, word);
}

export function parseTag(text: string, kind: SegmentKind): number | undefined {
  if (!/^\d{1,8}$/.test(text)) return undefined;
  const tag = Number(text);
  return tag >= 1 && tag <= largest[kind] ? tag : undefined;
}

/** `1-100, 200-300`; a single tag stands for itself. */
export function parseTagRanges(text: string, kind: SegmentKind): readonly TagRange[] | undefined {
  const ranges = text.split(",").map((part) => {
    const [from = "", to = from, ...more] = part.split("-").map((each) => each.trim());
    const first = parseTag(from, kind);
    const last = parseTag(to, kind);
    if (first === undefined || last === undefined || first > last || more.length > 0) return undefined;
    return { first, last };
  });
  return ranges.every((range) => range !== undefined) ? ranges : undefined;
}

export function describeTags(kind: SegmentKind): string {
  return `numbers from 1 to ${largest[kind]}`;
}

/** The tags of the ranges, in order, without those that are taken when their turn comes. */
export function* freeTags(
  ranges: readonly TagRange[],
  taken: ReadonlySet<number>,
): Generator<number, undefined> {
  for (const { first, last } of ranges) {
    for (let tag = first; tag <= last; tag += 1) if (!taken.has(tag)) yield tag;
  }
  return undefined;
}
