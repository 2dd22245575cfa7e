import { isIPv4 } from "node:net";
import type { DefaultRoute, IpFamily } from "./contract.ts";
import {
  aligned,
  bytesOf,
  type Dump,
  dumpRequest,
  familyIpv4,
  familyIpv6,
  littleEndian,
  readAttributes,
  requestOf,
} from "./rtnetlink.ts";

/**
 * The words of rtnetlink for default routes (rtnetlink(7), linux/rtnetlink.h).
 * Pure: bytes in, routes out, and back.
 */

const newRoute = 24;
const deleteRoute = 25;
const getRoute = 26;
const flagAcknowledge = 0x4;
const flagCreate = 0x400;

const bodyLength = 12;
const tableMain = 254;
const protocolStatic = 4;
const scopeUniverse = 0;
const typeUnicast = 1;
/** Entries of the kernel's cache, not of its table. */
const flagCloned = 0x200;
/** The one flag of a next hop that is asked for; the others tell of its state, and may not be asked for. */
const hopOnLink = 0x4;

const outgoing = 4;
const gatewayAddress = 5;
const multipath = 9;
const cacheInformation = 12;
const table = 15;
const nextHopObject = 30;
/** Counters, and the number of an object whose content stands beside it. */
const leftOut: ReadonlySet<number> = new Set([cacheInformation, nextHopObject]);

const families: Readonly<Record<IpFamily, number>> = { ipv4: familyIpv4, ipv6: familyIpv6 };

export function defaultRouteDump(family: IpFamily): Dump<DefaultRoute> {
  return {
    request(sequence) {
      const body = new DataView(new ArrayBuffer(bodyLength));
      body.setUint8(0, families[family]);
      return dumpRequest(getRoute, sequence, body);
    },
    parse({ type, payload }) {
      if (type !== newRoute || !isDefaultRoute(payload, families[family])) return undefined;
      const attributes = readAttributes(payload, bodyLength);
      const hops = attributes.get(multipath);
      const single = attributes.get(outgoing);
      const ifIndexes = hops
        ? hopOffsets(hops).map((offset) => hops.getInt32(offset + 4, littleEndian))
        : single
          ? [single.getInt32(0, littleEndian)]
          : [];
      return { family, ifIndexes, encoded: encode(payload) };
    },
  };
}

function isDefaultRoute(payload: DataView, family: number): boolean {
  const inTable = readAttributes(payload, bodyLength).get(table)?.getUint32(0, littleEndian);
  return (
    payload.getUint8(0) === family &&
    // Destination and source of any length but 0, and a type of service, are of a route to less than everything.
    payload.getUint8(1) === 0 &&
    payload.getUint8(2) === 0 &&
    payload.getUint8(3) === 0 &&
    (inTable ?? payload.getUint8(4)) === tableMain &&
    payload.getUint8(7) === typeUnicast &&
    (payload.getUint32(8, littleEndian) & flagCloned) === 0
  );
}

/** The message's body as a request would have it: the state of the moment left out. */
function encode(payload: DataView): string {
  const head = Buffer.from(bytesOf(payload).subarray(0, bodyLength));
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  view.setUint32(8, view.getUint32(8, littleEndian) & hopOnLink, littleEndian);
  const parts: Uint8Array[] = [head];
  for (const [type, value] of readAttributes(payload, bodyLength)) {
    if (leftOut.has(type)) continue;
    parts.push(attribute(type, type === multipath ? withoutHopState(value) : bytesOf(value)));
  }
  return Buffer.concat(parts).toString("base64");
}

/** Where each `struct rtnexthop` begins. */
function hopOffsets(hops: DataView): readonly number[] {
  const offsets: number[] = [];
  let offset = 0;
  while (offset + 8 <= hops.byteLength) {
    const length = hops.getUint16(offset, littleEndian);
    if (length < 8) break;
    offsets.push(offset);
    offset += aligned(length);
  }
  return offsets;
}

function withoutHopState(hops: DataView): Uint8Array {
  const bytes = Uint8Array.from(bytesOf(hops));
  for (const offset of hopOffsets(hops)) bytes[offset + 2] = (bytes[offset + 2] ?? 0) & hopOnLink;
  return bytes;
}

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(aligned(4 + value.byteLength));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.byteLength, littleEndian);
  view.setUint16(2, type, littleEndian);
  bytes.set(value, 4);
  return bytes;
}

/** Makes the route beside those there are: EEXIST when it is there. */
export function addRouteRequest(encoded: string, sequence: number): Uint8Array {
  return requestOf({ type: newRoute, flags: flagAcknowledge | flagCreate }, sequence, bodyOf(encoded));
}

/** ESRCH when it isn't there. */
export function deleteRouteRequest(encoded: string, sequence: number): Uint8Array {
  return requestOf({ type: deleteRoute, flags: flagAcknowledge }, sequence, bodyOf(encoded));
}

function bodyOf(encoded: string): DataView {
  const bytes = Buffer.from(encoded, "base64");
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function familyOf(gateway: string): IpFamily {
  return isIPv4(gateway) ? "ipv4" : "ipv6";
}

/** A new default route, with the kernel's usual priority. */
export function encodeRouteThrough(gateway: string, ifIndex: number): string {
  const head = new Uint8Array(bodyLength);
  head.set([families[familyOf(gateway)], 0, 0, 0, tableMain, protocolStatic, scopeUniverse, typeUnicast]);
  const index = new DataView(new ArrayBuffer(4));
  index.setInt32(0, ifIndex, littleEndian);
  return Buffer.concat([
    head,
    attribute(gatewayAddress, addressBytes(gateway)),
    attribute(outgoing, new Uint8Array(index.buffer)),
  ]).toString("base64");
}

/** Whether it leads through this gateway on this interface, and nowhere else. */
export function leadsThrough({ encoded }: DefaultRoute, gateway: string, ifIndex: number): boolean {
  const attributes = readAttributes(bodyOf(encoded), bodyLength);
  const through = attributes.get(gatewayAddress);
  return (
    attributes.get(outgoing)?.getInt32(0, littleEndian) === ifIndex &&
    through !== undefined &&
    bytesOf(through).equals(addressBytes(gateway))
  );
}

function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split("."), Number);
  // A URL writes every form of an address in groups of hex digits alone.
  const groups = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const [before = [], after = []] = groups.map((part) => (part === "" ? [] : part.split(":")));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => "0");
  const all = [...before, ...zeros, ...after];
  return Buffer.from(all.map((group) => group.padStart(4, "0")).join(""), "hex");
}
