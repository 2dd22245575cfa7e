import { randomInt } from "node:crypto";
import { constants } from "node:os";
import { PodplugError } from "../domain/errors.ts";
import type { DefaultRoute, IpFamily, RouteThrough } from "./contract.ts";
import { readDump } from "./dump.ts";
import type { Libc } from "./libc.ts";
import {
  addRouteRequest,
  defaultRouteDump,
  deleteRouteRequest,
  encodeRouteThrough,
  familyOf,
  leadsThrough,
} from "./route-message.ts";
import { readBatch } from "./rtnetlink.ts";
import { describeErrno } from "./system-call.ts";

const { errno } = constants;

/** What the kernel answers when a next hop makes no sense on its interface as that is now. */
const outOfReach: ReadonlySet<number> = new Set(
  [errno.ENODEV, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL].map((each) => -each),
);

/** A route socket, and scratch space that is this work's alone. */
export interface RouteSocket {
  readonly libc: Libc;
  readonly socket: number;
  readonly buffer: Uint8Array;
}

export async function readDefaultRoutes(route: RouteSocket): Promise<readonly DefaultRoute[]> {
  const { libc, socket, buffer } = route;
  const ipv4 = await readDump(libc, socket, defaultRouteDump("ipv4"), buffer);
  return [...ipv4, ...(await readDump(libc, socket, defaultRouteDump("ipv6"), buffer))];
}

/** The new ones come before the old ones go: there is no moment without one. */
export async function takeDefaultRoutes(
  route: RouteSocket,
  { ifIndex, gateways }: RouteThrough,
): Promise<readonly IpFamily[]> {
  const before = await readDefaultRoutes(route);
  const isOwn = (each: DefaultRoute): boolean => {
    if (gateways.length > 0) return gateways.some((gateway) => leadsThrough(each, gateway, ifIndex));
    return each.ifIndexes.includes(ifIndex);
  };
  const own = before.filter(isOwn);
  const families = new Set(gateways.length > 0 ? gateways.map(familyOf) : own.map(({ family }) => family));
  for (const gateway of gateways) {
    if (own.some((each) => leadsThrough(each, gateway, ifIndex))) continue;
    const result = await change(route, (sequence) =>
      addRouteRequest(encodeRouteThrough(gateway, ifIndex), sequence),
    );
    if (result >= 0) continue;
    const message = `default-route: can't route through ${gateway} on the network's interface: ${describeErrno(result)}`;
    throw new PodplugError(outOfReach.has(result) ? "GATEWAY_OUT_OF_REACH" : "INTERNAL", message);
  }
  for (const each of before) {
    if (isOwn(each) || !families.has(each.family)) continue;
    const result = await change(route, (sequence) => deleteRouteRequest(each.encoded, sequence));
    if (result < 0 && result !== -errno.ESRCH) {
      throw new PodplugError("INTERNAL", `can't remove a default route: ${describeErrno(result)}`);
    }
  }
  return [...families];
}

export async function restoreDefaultRoutes(
  route: RouteSocket,
  routes: readonly DefaultRoute[],
): Promise<readonly DefaultRoute[]> {
  const present = new Set((await readDefaultRoutes(route)).map(({ encoded }) => encoded));
  const lost: DefaultRoute[] = [];
  // The last first: the kernel puts a new route before those of the same priority.
  for (const each of routes.toReversed()) {
    if (present.has(each.encoded)) continue;
    const result = await change(route, (sequence) => addRouteRequest(each.encoded, sequence));
    if (outOfReach.has(result)) lost.push(each);
    else if (result < 0 && result !== -errno.EEXIST) {
      throw new PodplugError("INTERNAL", `can't put a default route back: ${describeErrno(result)}`);
    }
  }
  return lost;
}

/** One change and the kernel's answer: 0 or a negative errno. */
async function change(
  { libc, socket, buffer }: RouteSocket,
  request: (sequence: number) => Uint8Array,
): Promise<number> {
  const sequence = randomInt(1, 2 ** 32);
  const sent = await libc.send(socket, request(sequence), 0);
  if (sent < 0) return sent;
  for (;;) {
    const length = await libc.recv(socket, buffer, 0);
    if (length === -errno.EINTR) continue;
    if (length < 0) return length;
    const { done, error } = readBatch(buffer.subarray(0, length), sequence);
    if (done) return error;
  }
}
