import { SocketAddress } from "node:net";
import { endianness } from "node:os";
import type { InterfaceCounters } from "../domain/node-api.ts";

/**
 * The words of rtnetlink that a namespace's interfaces are asked for with
 * (rtnetlink(7), linux/netlink.h, linux/rtnetlink.h). Pure: bytes in, facts out.
 */

/** Netlink speaks in the byte order of its machine. */
export const littleEndian = endianness() === "LE";

const headerLength = 16;
const typeError = 2;
const typeDone = 3;
const flagRequest = 0x1;
const flagDumpInterrupted = 0x10;
const flagDump = 0x300;

const newLink = 16;
const getLink = 18;
const newAddress = 20;
const getAddress = 22;

const linkAddress = 1;
const linkName = 3;
const linkMtu = 4;
const linkStatistics = 23;
const linkExtendedMask = 29;
/** Leaves out IPv6's own counters, which are most of a link's message; the link's stay. */
const skipStatistics = 0x8;

const interfaceUp = 0x1;
const interfaceLoopback = 0x8;
const interfaceLowerUp = 0x10000;

/** Kinds of link whose "hardware address" is an IP address: ipip, ip6tnl, sit, gre, ip6gre (linux/if_arp.h). */
const addressedByIp: ReadonlySet<number> = new Set([768, 769, 776, 778, 823]);

const peerAddress = 1;
const localAddress = 2;
export const familyIpv4 = 2;
export const familyIpv6 = 10;

export interface Message {
  readonly type: number;
  readonly payload: DataView;
}

/** What one datagram of a dump held. */
export interface Batch {
  readonly messages: readonly Message[];
  readonly done: boolean;
  /** What is dumped changed meanwhile: the whole may be inconsistent (NLM_F_DUMP_INTR). */
  readonly interrupted: boolean;
  /** A negative errno, or 0. */
  readonly error: number;
}

export interface Link {
  readonly index: number;
  readonly name: string;
  /** In lower case with colons; empty for a link without a hardware address. */
  readonly mac: string;
  readonly mtu: number;
  /** Administratively up and with a carrier. */
  readonly up: boolean;
  readonly loopback: boolean;
  readonly counters?: InterfaceCounters | undefined;
}

export interface Address {
  /** The link's. */
  readonly index: number;
  /** With prefix length. */
  readonly ip: string;
}

/** Asks for everything of a kind, and knows how to read the answer's entries. */
export interface Dump<T> {
  request(sequence: number): Uint8Array;
  /** `undefined` for a message that isn't one of them. */
  parse(message: Message): T | undefined;
}

export function linkDump({ counters = false }: { readonly counters?: boolean | undefined } = {}): Dump<Link> {
  return {
    request(sequence) {
      const body = new DataView(new ArrayBuffer(24));
      body.setUint16(16, 8, littleEndian);
      body.setUint16(18, linkExtendedMask, littleEndian);
      body.setUint32(20, skipStatistics, littleEndian);
      return dumpRequest(getLink, sequence, body);
    },
    parse: (message) => parseLink(message, counters),
  };
}

function parseLink({ type, payload }: Message, isCounted: boolean): Link | undefined {
  if (type !== newLink) return undefined;
  const flags = payload.getUint32(8, littleEndian);
  const attributes = readAttributes(payload, 16);
  const mtu = attributes.get(linkMtu);
  const statistics = isCounted ? attributes.get(linkStatistics) : undefined;
  return {
    ...(statistics && { counters: countersOf(statistics) }),
    index: payload.getInt32(4, littleEndian),
    name: textOf(attributes.get(linkName)),
    mac: addressedByIp.has(payload.getUint16(2, littleEndian)) ? "" : macOf(attributes.get(linkAddress)),
    mtu: mtu ? mtu.getUint32(0, littleEndian) : 0,
    up: (flags & interfaceUp) !== 0 && (flags & interfaceLowerUp) !== 0,
    loopback: (flags & interfaceLoopback) !== 0,
  };
}

/** struct rtnl_link_stats64. */
function countersOf(statistics: DataView): InterfaceCounters {
  const at = (field: number): number => Number(statistics.getBigUint64(field * 8, littleEndian));
  return {
    rxPackets: at(0),
    txPackets: at(1),
    rxBytes: at(2),
    txBytes: at(3),
    rxErrors: at(4),
    txErrors: at(5),
    rxDropped: at(6),
    txDropped: at(7),
  };
}

export const addressDump: Dump<Address> = {
  request(sequence) {
    return dumpRequest(getAddress, sequence, new DataView(new ArrayBuffer(8)));
  },
  parse({ type, payload }) {
    if (type !== newAddress) return undefined;
    const attributes = readAttributes(payload, 8);
    // On a point-to-point link the other one is the peer's.
    const bytes = attributes.get(localAddress) ?? attributes.get(peerAddress);
    const address = bytes && formatAddress(payload.getUint8(0), bytes);
    if (address === undefined) return undefined;
    return { index: payload.getUint32(4, littleEndian), ip: `${address}/${payload.getUint8(1)}` };
  },
};

/** The messages of one datagram that answer the request with this sequence number. */
export function readBatch(datagram: Uint8Array, sequence: number): Batch {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const messages: Message[] = [];
  let done = false;
  let interrupted = false;
  let error = 0;
  let offset = 0;
  while (offset + headerLength <= view.byteLength) {
    const length = view.getUint32(offset, littleEndian);
    if (length < headerLength || offset + length > view.byteLength) break;
    if (view.getUint32(offset + 8, littleEndian) === sequence) {
      const type = view.getUint16(offset + 4, littleEndian);
      const payload = new DataView(
        view.buffer,
        view.byteOffset + offset + headerLength,
        length - headerLength,
      );
      if ((view.getUint16(offset + 6, littleEndian) & flagDumpInterrupted) !== 0) interrupted = true;
      if (type === typeError || type === typeDone) {
        // Both carry an errno; a dump that failed half-way says so in its last message.
        done = true;
        error = payload.byteLength >= 4 ? Math.min(payload.getInt32(0, littleEndian), 0) : 0;
      } else {
        messages.push({ type, payload });
      }
    }
    offset += aligned(length);
  }
  return { messages, done, interrupted, error };
}

export function dumpRequest(type: number, sequence: number, body: DataView): Uint8Array {
  return requestOf({ type, flags: flagDump }, sequence, body);
}

/** A request of one message; NLM_F_REQUEST is added to its flags. */
export function requestOf(
  { type, flags }: { readonly type: number; readonly flags: number },
  sequence: number,
  body: DataView,
): Uint8Array {
  const message = new Uint8Array(headerLength + body.byteLength);
  message.set(new Uint8Array(body.buffer, body.byteOffset, body.byteLength), headerLength);
  const header = new DataView(message.buffer);
  header.setUint32(0, message.byteLength, littleEndian);
  header.setUint16(4, type, littleEndian);
  header.setUint16(6, flagRequest | flags, littleEndian);
  header.setUint32(8, sequence, littleEndian);
  return message;
}

export function readAttributes(payload: DataView, start: number): ReadonlyMap<number, DataView> {
  const attributes = new Map<number, DataView>();
  let offset = start;
  while (offset + 4 <= payload.byteLength) {
    const length = payload.getUint16(offset, littleEndian);
    if (length < 4 || offset + length > payload.byteLength) break;
    // The two highest bits are flags, not part of the type.
    const type = payload.getUint16(offset + 2, littleEndian) & 0x3fff;
    attributes.set(type, new DataView(payload.buffer, payload.byteOffset + offset + 4, length - 4));
    offset += aligned(length);
  }
  return attributes;
}

export function aligned(length: number): number {
  return (length + 3) & ~3;
}

export function bytesOf(view: DataView): Buffer {
  return Buffer.from(view.buffer, view.byteOffset, view.byteLength);
}

function textOf(view: DataView | undefined): string {
  if (!view) return "";
  const text = bytesOf(view).toString("utf8");
  const end = text.indexOf("\0");
  return end < 0 ? text : text.slice(0, end);
}

function macOf(view: DataView | undefined): string {
  if (!view) return "";
  return Array.from(bytesOf(view), (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function formatAddress(family: number, view: DataView): string | undefined {
  const bytes = bytesOf(view);
  if (family === familyIpv4 && bytes.length === 4) return bytes.join(".");
  if (family === familyIpv6 && bytes.length === 16) {
    const groups = bytes.toString("hex").match(/.{4}/g) ?? [];
    return new SocketAddress({ address: groups.join(":"), family: "ipv6" }).address;
  }
  return undefined;
}
