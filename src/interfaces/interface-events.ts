import { closeSync, fstatSync } from "node:fs";
import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import { abortError } from "../domain/signals.ts";
import type { InterfaceEvents, NetnsPlace } from "./contract.ts";
import { type NetnsEvent, openEventSocket } from "./event-socket.ts";
import { loadLibc } from "./libc.ts";
import { openNetnsFile } from "./netns.ts";
import { nsidOf } from "./nsid.ts";

/** Plugging one interface is several changes within some milliseconds. */
const quietMs = 200;

/**
 * Follows any number of namespaces with one descriptor, as the kernel tells
 * of them. Loads native code, so only the agent makes one; it rejects where
 * that code isn't there.
 */
export async function createInterfaceEvents(options: {
  readonly clock: Clock;
  /** Room for what comes while this thread is busy: some thousand events unless told otherwise. */
  readonly receiveBufferBytes?: number | undefined;
}): Promise<InterfaceEvents & Disposable> {
  const { clock, receiveBufferBytes = 4 * 1024 * 1024 } = options;
  const libc = await loadLibc();
  const followers = new Map<number, Set<() => void>>();
  const due = new Set<() => void>();
  let timer: Disposable | undefined;
  let socket: Disposable | undefined;

  function heard(event: NetnsEvent): void {
    const concerned = event.kind === "missed" ? [...followers.values()] : [followers.get(event.nsid) ?? []];
    for (const each of concerned) for (const changed of each) due.add(changed);
    // Its number may be another's next.
    if (event.kind === "ended") followers.delete(event.nsid);
    if (due.size > 0) timer ??= clock.setTimer(quietMs, tell);
  }

  function tell(): void {
    timer = undefined;
    const now = [...due];
    due.clear();
    for (const changed of now) changed();
  }

  function add(nsid: number, changed: () => void): Disposable {
    const own = followers.get(nsid) ?? new Set();
    followers.set(nsid, own.add(changed));
    return {
      [Symbol.dispose]() {
        due.delete(changed);
        own.delete(changed);
        if (own.size === 0 && followers.get(nsid) === own) followers.delete(nsid);
      },
    };
  }

  return {
    async follow(place, changed, signal) {
      if (signal.aborted) throw abortError(signal, `following ${place.netnsPath}`);
      socket ??= openEventSocket(libc, { receiveBufferBytes, heard });
      const fd = await openNetnsFile(place.netnsPath);
      try {
        requireSame(place, fd);
        const nsid = await nsidOf(fd, libc);
        // While the namespace is held open its number is nobody else's.
        return add(nsid, changed);
      } finally {
        closeSync(fd);
      }
    },
    [Symbol.dispose]() {
      timer?.[Symbol.dispose]();
      socket?.[Symbol.dispose]();
      followers.clear();
    },
  };
}

function requireSame({ netnsPath, netns }: NetnsPlace, fd: number): void {
  const { dev, ino } = fstatSync(fd, { bigint: true });
  if (netns === undefined || netns.inode === `${dev}:${ino}`) return;
  throw new PodplugError("SANDBOX_NOT_READY", `${netnsPath} became another namespace`);
}
