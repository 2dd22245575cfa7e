import { closeSync, openSync, readFileSync } from "node:fs";
import { type Clock, systemClock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import { type HostPaths, seenInPlace } from "../domain/host-path.ts";
import { abortError, unlessAborted } from "../domain/signals.ts";
import {
  type RouteSocket,
  readDefaultRoutes,
  restoreDefaultRoutes,
  takeDefaultRoutes,
} from "./change-routes.ts";
import {
  type DefaultRoutes,
  type InterfaceReader,
  isSameNetns,
  type KernelInterface,
  type NetnsIdentity,
  type NetnsPlace,
} from "./contract.ts";
import { dumpBufferLength, readDump } from "./dump.ts";
import { createHeldNamespaces } from "./held-netns.ts";
import { loadLibc } from "./libc.ts";
import type { OpenNetns } from "./netns.ts";
import { type Address, addressDump, type Link, linkDump } from "./rtnetlink.ts";
import { pathsOfProcessesIn } from "./search-processes.ts";
import { createTurns } from "./turns.ts";

/**
 * Of libuv's four threads, those that may wait for the kernel's routing lock:
 * files must stay writable meanwhile, the journal's above all.
 */
const maxThreads = 2;

export interface NetlinkReaderOptions {
  /** Where namespaces' files are found; in place when absent. */
  readonly seenAt?: HostPaths | undefined;
  /** How long the kernel may be silent before a read fails. */
  readonly receiveTimeoutMs?: number | undefined;
  readonly clock?: Clock | undefined;
}

export interface NetlinkInterfaceReader extends InterfaceReader, DefaultRoutes, Disposable {}

/**
 * Reads interfaces, and reads and changes default routes, by rtnetlink, without a child process. Loads native code,
 * so only the agent makes one; it rejects where that code isn't there. Belongs
 * to the thread that made it and holds one descriptor until disposed of.
 */
export async function createNetlinkInterfaceReader(
  options: NetlinkReaderOptions = {},
): Promise<NetlinkInterfaceReader> {
  const { receiveTimeoutMs = 5_000, seenAt = seenInPlace, clock = systemClock } = options;
  const libc = await loadLibc();
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const homeFd = openSync("/proc/thread-self/ns/net", "r");
  const namespaces = createHeldNamespaces(clock, { libc, seenAt, homeFd, receiveTimeoutMs });
  const inTurn = createTurns(maxThreads);
  // Kept, one for each thread: memory outside the heap makes starting a plugin slower.
  const idleBuffers: Uint8Array[] = [];

  async function inNetns<T>(
    path: string,
    signal: AbortSignal,
    work: (netns: OpenNetns) => Promise<T> | T,
  ): Promise<T> {
    const doing = `looking into ${path}`;
    if (signal.aborted) throw abortError(signal, doing);
    const done = inTurn(async () => {
      if (signal.aborted) throw abortError(signal, doing);
      using netns = await namespaces.open(path);
      const result = await work(netns);
      netns.giveBack();
      return result;
    });
    // Who asked may go at once; the thread's place is free only when the kernel lets it go.
    return await unlessAborted(done, signal, doing);
  }

  /** In the very namespace that is meant: SANDBOX_NOT_READY when the path leads to another one by now. */
  function atPlace<T>(
    { netnsPath, netns }: NetnsPlace,
    signal: AbortSignal,
    work: (route: RouteSocket) => Promise<T>,
  ): Promise<T> {
    return inNetns(netnsPath, signal, async ({ inode, cookie, routeSocket }) => {
      if (netns && !isSameNetns(netns, { bootId, inode, cookie })) {
        throw new PodplugError("SANDBOX_NOT_READY", `${netnsPath} became another namespace`);
      }
      const buffer = idleBuffers.pop() ?? new Uint8Array(dumpBufferLength);
      try {
        return await work({ libc, socket: routeSocket, buffer });
      } finally {
        idleBuffers.push(buffer);
      }
    });
  }

  const identify = (netnsPath: string, signal: AbortSignal): Promise<NetnsIdentity> =>
    inNetns(netnsPath, signal, ({ inode, cookie }) => ({ bootId, inode, cookie }));

  return {
    identify,
    async search(netns, signal) {
      for (const path of pathsOfProcessesIn(netns.inode.split(":")[1] ?? "")) {
        try {
          if (isSameNetns(await identify(path, signal), netns)) return path;
        } catch (error) {
          // The process has ended meanwhile; another may still be in there.
          if (!(error instanceof PodplugError && error.reason === "TARGET_NOT_FOUND")) throw error;
        }
      }
      return undefined;
    },
    list: (place, signal) =>
      atPlace(place, signal, async ({ socket, buffer }) => {
        const links = await readDump(libc, socket, linkDump(place), buffer);
        const addresses = await readDump(libc, socket, addressDump, buffer);
        return joined(links, addresses);
      }),
    defaultRoutes: (place, signal) => atPlace(place, signal, readDefaultRoutes),
    takeDefaultRoutes: (place, through, signal) =>
      atPlace(place, signal, (route) => takeDefaultRoutes(route, through)),
    restoreDefaultRoutes: (place, routes, signal) =>
      atPlace(place, signal, (route) => restoreDefaultRoutes(route, routes)),
    [Symbol.dispose]() {
      namespaces[Symbol.dispose]();
      closeSync(homeFd);
    },
  };
}

function joined(links: readonly Link[], addresses: readonly Address[]): readonly KernelInterface[] {
  const ips = new Map<number, string[]>();
  for (const { index, ip } of addresses) {
    const known = ips.get(index);
    if (known) known.push(ip);
    else ips.set(index, [ip]);
  }
  return links
    .filter((link) => !link.loopback)
    .sort((a, b) => a.index - b.index)
    .map(({ loopback: _loopback, ...link }) => ({ ...link, ips: ips.get(link.index) ?? [] }));
}
