import { littleEndian, readAttributes, requestOf } from "./rtnetlink.ts";

/**
 * The words of rtnetlink for the numbers that a namespace gives to others
 * (linux/net_namespace.h). Pure: bytes in, facts out.
 */

const newNsid = 88;
export const deletedNsid = 89;
const getNsid = 90;
const flagAcknowledge = 0x4;

const numberAttribute = 1;
const descriptorAttribute = 3;
/** struct rtgenmsg, padded. */
const bodyLength = 4;
const attributeLength = 8;
/** The kernel chooses. */
const anyNumber = -1;

/** Gives the namespace behind an open file a number in the socket's namespace. EEXIST when it has one. */
export function giveNsidRequest(netnsFd: number, sequence: number): Uint8Array {
  const body = bodyOf([
    [descriptorAttribute, netnsFd],
    [numberAttribute, anyNumber],
  ]);
  return requestOf({ type: newNsid, flags: flagAcknowledge }, sequence, body);
}

/** Asks which number it has. */
export function askNsidRequest(netnsFd: number, sequence: number): Uint8Array {
  return requestOf({ type: getNsid, flags: 0 }, sequence, bodyOf([[descriptorAttribute, netnsFd]]));
}

/** The number that the payload of an answer, or of the news that it is free again, is about. */
export function readNsid(payload: DataView): number | undefined {
  const nsid = readAttributes(payload, bodyLength).get(numberAttribute)?.getInt32(0, littleEndian);
  return nsid === undefined || nsid < 0 ? undefined : nsid;
}

function bodyOf(attributes: readonly (readonly [type: number, value: number])[]): DataView {
  const body = new DataView(new ArrayBuffer(bodyLength + attributes.length * attributeLength));
  for (const [index, [type, value]] of attributes.entries()) {
    const offset = bodyLength + index * attributeLength;
    body.setUint16(offset, attributeLength, littleEndian);
    body.setUint16(offset + 2, type, littleEndian);
    body.setInt32(offset + 4, value, littleEndian);
  }
  return body;
}
