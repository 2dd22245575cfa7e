import {
  type BigIntStats,
  closeSync,
  constants as files,
  fstatSync,
  open as openFile,
  openSync,
  statfsSync,
} from "node:fs";
import { constants } from "node:os";
import { promisify } from "node:util";
import { asPodplugError, messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { HostPaths } from "../domain/host-path.ts";
import type { Libc } from "./libc.ts";
import { describeErrno } from "./system-call.ts";

const open = promisify(openFile);
const pathOnly = 0x200000;
const closeOnExec = 0x80000;
const newNetwork = 0x40000000;
const namespaceFilesystem = 0x6e736673;
const familyNetlink = 16;
const kindRaw = 3;
const protocolRoute = 0;
const levelSocket = 1;
const optionReceiveTimeout = 20;
const optionNetnsCookie = 71;

/** A network namespace held open: which one it is, and a route socket that stays in it. */
export interface OpenNetns extends Disposable {
  /** `device:inode`. */
  readonly inode: string;
  /** Empty where the kernel has none. */
  readonly cookie: string;
  /** Speaks NETLINK_ROUTE with the namespace from wherever it is used. */
  readonly routeSocket: number;
}

export interface OpenNetnsOptions {
  readonly libc: Libc;
  readonly seenAt: HostPaths;
  /** An open file of the agent's own network namespace. */
  readonly homeFd: number;
  /** How long a receive on the route socket waits. */
  readonly receiveTimeoutMs: number;
}

/** The usual places of namespaces, on file systems of the kernel's own, where to open a file never waits. */
export function isPromptPath(path: string): boolean {
  return promptPath.test(path);
}

const promptPath = /^\/(proc\/(\d+|self|thread-self)\/ns\/net|(var\/)?run\/([^/]+\/)?netns\/[^/]+)$/;

/** TARGET_NOT_FOUND, TARGET_INVALID, PRIVILEGE_MISSING; the caller disposes of what it gets. */
export async function openNetns(path: string, options: OpenNetnsOptions): Promise<OpenNetns> {
  const { libc, seenAt, homeFd, receiveTimeoutMs } = options;
  const fd = await openNetnsFile(path, seenAt);
  try {
    const inode = inodeOf(fstatSync(fd, { bigint: true }));
    const routeSocket = routeSocketIn(fd, homeFd, path, libc);
    try {
      prepare(routeSocket, receiveTimeoutMs, libc);
      return {
        inode,
        cookie: cookieOf(routeSocket, libc),
        routeSocket,
        [Symbol.dispose]: () => void libc.close(routeSocket),
      };
    } catch (error) {
      libc.close(routeSocket);
      throw error;
    }
  } finally {
    closeSync(fd);
  }
}

/** What tells namespaces apart for as long as they live. */
export function inodeOf({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** A descriptor of the namespace, which lives on while it is open. TARGET_NOT_FOUND, TARGET_INVALID, PRIVILEGE_MISSING. */
export async function openNetnsFile(path: string, seenAt: HostPaths): Promise<number> {
  return reopen(await openPath(path, seenAt), path);
}

/** The namespace itself, by the descriptor of its place: the path may lead elsewhere by now. */
function reopen(place: number, path: string): number {
  try {
    const found = `/proc/self/fd/${place}`;
    if (statfsSync(found).type !== namespaceFilesystem) throw notNetns(path);
    return openSync(found, files.O_RDONLY);
  } finally {
    closeSync(place);
  }
}

/**
 * Only the place in the tree, not the thing itself: to open a FIFO blocks, and
 * to open a device may set it going (a watchdog, a tape).
 */
async function openPath(path: string, seenAt: HostPaths): Promise<number> {
  try {
    return isPromptPath(path)
      ? openSync(seenAt(path), pathOnly)
      : await open(await seenAt.patiently(path), pathOnly);
  } catch (cause) {
    switch (systemCodeOf(cause)) {
      case "ENOENT":
      case "ENOTDIR":
      case "ESRCH":
        throw new PodplugError("TARGET_NOT_FOUND", `no network namespace at ${path}`, { cause });
      case "ELOOP":
      case "ENAMETOOLONG":
      case "ERR_INVALID_ARG_VALUE":
        throw new PodplugError(
          "TARGET_INVALID",
          `not a path of a network namespace: ${JSON.stringify(path)}`,
          {
            cause,
          },
        );
      case "EACCES":
      case "EPERM":
        throw new PodplugError(
          "PRIVILEGE_MISSING",
          `can't open network namespace ${path}: the agent lacks CAP_SYS_PTRACE (below /proc) or the right to search the directory`,
          { cause },
        );
      case "EMFILE":
      case "ENFILE":
        throw asPodplugError(cause);
      default:
        throw new PodplugError("INTERNAL", `can't open network namespace ${path}: ${messageOf(cause)}`, {
          cause,
        });
    }
  }
}

/**
 * A socket belongs to the namespace it was made in. This thread is the one
 * that starts plugins and opens listeners, so it is in there for one system
 * call, with nothing in between that could run other code; threads of libuv's
 * pool are started only when work is queued, so none inherits the namespace.
 */
function routeSocketIn(netnsFd: number, homeFd: number, path: string, libc: Libc): number {
  const entered = libc.setns(netnsFd, newNetwork);
  if (entered < 0) {
    if (entered === -constants.errno.EINVAL) throw notNetns(path);
    if (entered === -constants.errno.EPERM) {
      throw new PodplugError(
        "PRIVILEGE_MISSING",
        `can't enter network namespace ${path}: the agent lacks CAP_SYS_ADMIN in the user namespace that owns it`,
      );
    }
    throw new PodplugError("INTERNAL", `can't enter network namespace ${path}: ${describeErrno(entered)}`);
  }
  let routeSocket: number;
  try {
    routeSocket = libc.socket(familyNetlink, kindRaw | closeOnExec, protocolRoute);
  } finally {
    // A process left behind in a pod's network would plug its plugins' host
    // ends into that pod and listen on its addresses: it must not live on.
    if (libc.setns(homeFd, newNetwork) < 0) process.abort();
  }
  if (routeSocket < 0) {
    throw new PodplugError(
      "INTERNAL",
      `can't make a netlink socket in ${path}: ${describeErrno(routeSocket)}`,
    );
  }
  return routeSocket;
}

/** A route socket of the namespace that this thread is in; the caller closes it. */
export function openRouteSocket(libc: Libc, receiveTimeoutMs: number): number {
  const routeSocket = libc.socket(familyNetlink, kindRaw | closeOnExec, protocolRoute);
  if (routeSocket < 0)
    throw new PodplugError("INTERNAL", `can't make a netlink socket: ${describeErrno(routeSocket)}`);
  try {
    prepare(routeSocket, receiveTimeoutMs, libc);
    return routeSocket;
  } catch (error) {
    libc.close(routeSocket);
    throw error;
  }
}

function prepare(routeSocket: number, receiveTimeoutMs: number, libc: Libc): void {
  const seconds = Math.floor(receiveTimeoutMs / 1000);
  const timeout = BigInt64Array.of(BigInt(seconds), BigInt((receiveTimeoutMs - seconds * 1000) * 1000));
  const results = [
    connectToKernel(routeSocket, libc),
    libc.setsockopt(routeSocket, levelSocket, optionReceiveTimeout, new Uint8Array(timeout.buffer)),
  ];
  for (const result of results) {
    if (result < 0)
      throw new PodplugError("INTERNAL", `can't set up a netlink socket: ${describeErrno(result)}`);
  }
}

/** Gives the socket an address of its own, without which it hears no news. */
export function connectToKernel(routeSocket: number, libc: Libc): number {
  // struct sockaddr_nl with port 0, the kernel's: once connected, nobody in
  // the namespace who may send netlink messages can answer in its place.
  const address = new Uint8Array(12);
  new Uint16Array(address.buffer, 0, 1)[0] = familyNetlink;
  return libc.connect(routeSocket, address);
}

function cookieOf(routeSocket: number, libc: Libc): string {
  const cookie = new BigUint64Array(1);
  const result = libc.getsockopt(routeSocket, levelSocket, optionNetnsCookie, new Uint8Array(cookie.buffer));
  // Linux before 5.14 doesn't know the option.
  if (result === -constants.errno.ENOPROTOOPT) return "";
  if (result < 0)
    throw new PodplugError("INTERNAL", `can't read a namespace's cookie: ${describeErrno(result)}`);
  return String(cookie[0]);
}

function notNetns(path: string): PodplugError {
  return new PodplugError("TARGET_INVALID", `not a network namespace: ${path}`);
}
