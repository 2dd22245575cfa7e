import { isIPv4 } from "node:net";

/** A block of IPv4 addresses: `base` has no bit beyond the prefix. */
export interface Block {
  readonly base: number;
  readonly prefix: number;
}

export function parseAddress(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  return text.split(".").reduce((address, byte) => address * 256 + Number(byte), 0);
}

export function printAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}

/** As Go reads it: what the prefix doesn't cover is dropped. */
export function parseBlock(text: string): Block | undefined {
  const [, bare = "", digits = ""] = /^([^/]+)\/(\d{1,2})$/.exec(text) ?? [];
  const address = parseAddress(bare);
  const prefix = Number(digits);
  if (address === undefined || prefix > 32) return undefined;
  return { base: address - (address % 2 ** (32 - prefix)), prefix };
}

export function printBlock({ base, prefix }: Block): string {
  return `${printAddress(base)}/${prefix}`;
}

/** The first address after it. */
export function endOf({ base, prefix }: Block): number {
  return base + 2 ** (32 - prefix);
}

export function overlap(a: Block, b: Block): boolean {
  return a.base < endOf(b) && b.base < endOf(a);
}

/** Whether a host may have it: the first address is the network's, and the last its broadcast. */
export function isHostOf(block: Block, address: number): boolean {
  return address > block.base && address < endOf(block) - 1;
}

/** The pool in blocks of one prefix, in order, without those that overlap one that is taken. */
export function* freeBlocks(
  pool: Block,
  prefix: number,
  taken: readonly Block[],
): Generator<Block, undefined> {
  let base = pool.base;
  const size = 2 ** (32 - prefix);
  while (base + size <= endOf(pool)) {
    const block = { base, prefix };
    const inTheWay = taken.find((each) => overlap(each, block));
    if (!inTheWay) yield block;
    base = inTheWay ? Math.ceil(endOf(inTheWay) / size) * size : base + size;
  }
  return undefined;
}
