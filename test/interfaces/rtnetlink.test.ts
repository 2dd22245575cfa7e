import { endianness } from "node:os";
import { expect, test } from "vitest";
import { addressDump, linkDump } from "../../src/interfaces/rtnetlink.ts";

const littleEndian = endianness() === "LE";
const newLink = 16;
const newAddress = 20;

function attribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array((4 + value.byteLength + 3) & ~3);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 4 + value.byteLength, littleEndian);
  view.setUint16(2, type, littleEndian);
  bytes.set(value, 4);
  return bytes;
}

function link(facts: {
  readonly kind: number;
  readonly flags?: number;
  readonly address: readonly number[];
}): DataView {
  const head = new DataView(new ArrayBuffer(16));
  head.setUint16(2, facts.kind, littleEndian);
  head.setInt32(4, 7, littleEndian);
  head.setUint32(8, facts.flags ?? 0, littleEndian);
  const bytes = Buffer.concat([
    new Uint8Array(head.buffer),
    attribute(3, Buffer.from("net1\0")),
    attribute(1, Uint8Array.from(facts.address)),
  ]);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

test("an Ethernet or InfiniBand link has its hardware address", () => {
  const ethernet = { kind: 1, address: [2, 0, 0xab, 0xcd, 0, 1] };
  const infiniband = { kind: 32, address: Array.from({ length: 20 }, (_, n) => n) };
  expect(linkDump().parse({ type: newLink, payload: link(ethernet) })).toMatchObject({
    index: 7,
    name: "net1",
    mac: "02:00:ab:cd:00:01",
  });
  expect(linkDump().parse({ type: newLink, payload: link(infiniband) })?.mac).toMatch(/^00:01:02:.*:12:13$/);
});

test("a tunnel's IP address isn't a hardware address", () => {
  for (const kind of [768, 769, 776, 778, 823]) {
    const payload = link({ kind, address: [10, 0, 0, 1] });
    expect(linkDump().parse({ type: newLink, payload })).toMatchObject({ name: "net1", mac: "" });
  }
});

test("a link is up when it is both switched on and has a carrier", () => {
  const upOf = (flags: number): boolean | undefined =>
    linkDump().parse({ type: newLink, payload: link({ kind: 1, flags, address: [] }) })?.up;
  expect([0x10001, 0x1, 0x10000, 0].map(upOf)).toEqual([true, false, false, false]);
});

test("an address of another family than IP is passed over", () => {
  const head = Uint8Array.of(17, 8, 0, 0, 0, 0, 0, 0);
  const bytes = Buffer.concat([head, attribute(1, Uint8Array.of(1, 2, 3, 4))]);
  const payload = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  expect(addressDump.parse({ type: newAddress, payload })).toBeUndefined();
});
