import { closeSync, openSync, readFileSync } from "node:fs";
import { PodplugError } from "../domain/errors.ts";
import { abortError, unlessAborted } from "../domain/signals.ts";
import { type InterfaceReader, isSameNetns, type KernelInterface } from "./contract.ts";
import { dumpBufferLength, readDump } from "./dump.ts";
import { loadLibc } from "./libc.ts";
import { type OpenNetns, openNetns } from "./netns.ts";
import { type Address, addressDump, type Link, linkDump } from "./rtnetlink.ts";
import { createTurns } from "./turns.ts";

/**
 * Of libuv's four threads, those that may wait for the kernel's routing lock:
 * files must stay writable meanwhile, the journal's above all.
 */
const maxThreads = 2;

export interface NetlinkReaderOptions {
  /** How long the kernel may be silent before a read fails. */
  readonly receiveTimeoutMs?: number | undefined;
}

export interface NetlinkInterfaceReader extends InterfaceReader, Disposable {}

/**
 * Reads interfaces by rtnetlink, without a child process. Loads native code,
 * so only the agent makes one; it rejects where that code isn't there. Belongs
 * to the thread that made it and holds one descriptor until disposed of.
 */
export async function createNetlinkInterfaceReader(
  options: NetlinkReaderOptions = {},
): Promise<NetlinkInterfaceReader> {
  const { receiveTimeoutMs = 5_000 } = options;
  const libc = await loadLibc();
  const bootId = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const homeFd = openSync("/proc/thread-self/ns/net", "r");
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
      using netns = await openNetns(path, { libc, homeFd, receiveTimeoutMs });
      return await work(netns);
    });
    // Who asked may go at once; the thread's place is free only when the kernel lets it go.
    return await unlessAborted(done, signal, doing);
  }

  return {
    identify: (netnsPath, signal) =>
      inNetns(netnsPath, signal, ({ inode, cookie }) => ({ bootId, inode, cookie })),
    list: ({ netnsPath, netns }, signal) =>
      inNetns(netnsPath, signal, async ({ inode, cookie, routeSocket }) => {
        if (netns && !isSameNetns(netns, { bootId, inode, cookie })) {
          throw new PodplugError("SANDBOX_NOT_READY", `${netnsPath} became another namespace`);
        }
        const buffer = idleBuffers.pop() ?? new Uint8Array(dumpBufferLength);
        try {
          const links = await readDump(libc, routeSocket, linkDump, buffer);
          const addresses = await readDump(libc, routeSocket, addressDump, buffer);
          return joined(links, addresses);
        } finally {
          idleBuffers.push(buffer);
        }
      }),
    [Symbol.dispose]: () => closeSync(homeFd),
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
    .map(({ index, name, mac, mtu, up }) => ({ index, name, mac, mtu, up, ips: ips.get(index) ?? [] }));
}
