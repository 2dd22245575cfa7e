import { constants } from "node:os";
import { PodplugError } from "../domain/errors.ts";
import type { Libc } from "./libc.ts";
import { connectToKernel } from "./netns.ts";
import { deletedNsid, readNsid } from "./nsid-message.ts";
import { littleEndian } from "./rtnetlink.ts";
import { describeErrno } from "./system-call.ts";

const { errno } = constants;

const familyNetlink = 16;
const kindRaw = 3;
const closeOnExec = 0x80000;
const withoutWaiting = 0x800;
const protocolRoute = 0;

const levelSocket = 1;
const optionReceiveBufferForce = 33;
const levelNetlink = 270;
const optionJoinGroup = 1;
const optionListenAllNsid = 8;

/** RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NSID. */
const groups = [1, 5, 9, 28];

/** The kind of an event and, of a namespace's end, which one: all that is read of it. */
const eventBytes = 128;
const headerLength = 16;
const controlBytes = 128;
/** Of struct cmsghdr: its length in a word, then level and type; what it carries comes after. */
const controlHeaderLength = 16;

/** Which namespace by its number here. missed: events were lost, of whatever namespace. */
export type NetnsEvent =
  | { readonly kind: "changed" | "ended"; readonly nsid: number }
  | { readonly kind: "missed" };

/**
 * One socket in this thread's namespace hears of the links and addresses of
 * every namespace that has a number here (NETLINK_LISTEN_ALL_NSID, Linux 4.2).
 * A socket inside a namespace would keep it, and what is plugged into it,
 * alive after its pod.
 */
export function openEventSocket(
  libc: Libc,
  options: { readonly receiveBufferBytes: number; readonly heard: (event: NetnsEvent) => void },
): Disposable {
  const { receiveBufferBytes, heard } = options;
  const socket = libc.socket(familyNetlink, kindRaw | closeOnExec | withoutWaiting, protocolRoute);
  if (socket < 0) throw new PodplugError("INTERNAL", `can't make a netlink socket: ${describeErrno(socket)}`);
  try {
    require0(connectToKernel(socket, libc));
    for (const group of groups) require0(setNumber(libc, socket, levelNetlink, optionJoinGroup, group));
    require0(setNumber(libc, socket, levelNetlink, optionListenAllNsid, 1));
    // Without the right to it the socket has the usual room, and more may be missed.
    setNumber(libc, socket, levelSocket, optionReceiveBufferForce, receiveBufferBytes);
    const buffer = new Uint8Array(eventBytes);
    const control = new Uint8Array(controlBytes);
    const polling = libc.onReadable(socket, () => {
      for (let more = true; more; ) more = receive(libc, socket, { buffer, control, heard });
    });
    return {
      [Symbol.dispose]() {
        polling[Symbol.dispose]();
        libc.close(socket);
      },
    };
  } catch (error) {
    libc.close(socket);
    throw error;
  }
}

/** Whether there may be more. */
function receive(
  libc: Libc,
  socket: number,
  into: {
    readonly buffer: Uint8Array;
    readonly control: Uint8Array;
    readonly heard: (event: NetnsEvent) => void;
  },
): boolean {
  const { buffer, control, heard } = into;
  const { length, controlLength } = libc.recvMessageNow(socket, buffer, control);
  if (length === -errno.EINTR) return true;
  if (length === -errno.ENOBUFS) {
    heard({ kind: "missed" });
    return true;
  }
  if (length < headerLength) return false;
  const event = readEvent(buffer.subarray(0, length), control.subarray(0, controlLength));
  if (event) heard(event);
  return true;
}

/** Undefined for one of this namespace's own. */
function readEvent(message: Uint8Array, control: Uint8Array): NetnsEvent | undefined {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  if (view.getUint16(4, littleEndian) === deletedNsid) {
    const payload = new DataView(
      message.buffer,
      message.byteOffset + headerLength,
      message.byteLength - headerLength,
    );
    const nsid = readNsid(payload);
    return nsid === undefined ? undefined : { kind: "ended", nsid };
  }
  if (control.byteLength < controlHeaderLength + 4) return undefined;
  const header = new DataView(control.buffer, control.byteOffset, control.byteLength);
  const level = header.getInt32(8, littleEndian);
  const type = header.getInt32(12, littleEndian);
  if (level !== levelNetlink || type !== optionListenAllNsid) return undefined;
  return { kind: "changed", nsid: header.getInt32(controlHeaderLength, littleEndian) };
}

function setNumber(libc: Libc, socket: number, level: number, option: number, value: number): number {
  return libc.setsockopt(socket, level, option, new Uint8Array(Int32Array.of(value).buffer));
}

function require0(result: number): void {
  if (result >= 0) return;
  const what = "the kernel doesn't tell of changes in namespaces";
  throw new PodplugError("UNSUPPORTED", `${what}: ${describeErrno(result)}`);
}
