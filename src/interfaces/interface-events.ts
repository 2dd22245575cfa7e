import { closeSync, fstatSync } from "node:fs";
import type { Clock } from "../domain/clock.ts";
import { PodplugError } from "../domain/errors.ts";
import { type HostPaths, seenInPlace } from "../domain/host-path.ts";
import { abortError } from "../domain/signals.ts";
import type { InterfaceEvents, NetnsNews, NetnsPlace } from "./contract.ts";
import { type NetnsEvent, openEventSocket } from "./event-socket.ts";
import { loadLibc } from "./libc.ts";
import { inodeOf, openNetnsFile } from "./netns.ts";
import { nsidOf } from "./nsid.ts";

type Follower = (news: NetnsNews) => void;

/** Plugging one interface is several changes within some milliseconds. */
const quietMs = 200;

/**
 * Follows any number of namespaces with one descriptor, as the kernel tells
 * of them. Loads native code, so only the agent makes one; it rejects where
 * that code isn't there.
 */
export async function createInterfaceEvents(options: {
  readonly clock: Clock;
  /** Where namespaces' files are found; in place when absent. */
  readonly seenAt?: HostPaths | undefined;
  /** Room for what comes while this thread is busy: some thousand events unless told otherwise. */
  readonly receiveBufferBytes?: number | undefined;
}): Promise<InterfaceEvents & Disposable> {
  const { clock, seenAt = seenInPlace, receiveBufferBytes = 4 * 1024 * 1024 } = options;
  const libc = await loadLibc();
  const followers = new Map<number, Set<Follower>>();
  const due = new Map<Follower, NetnsNews>();
  let timer: Disposable | undefined;
  const socket = openOrFault();

  /** Where the kernel doesn't tell, each follower hears why. */
  function openOrFault(): Disposable | PodplugError {
    try {
      return openEventSocket(libc, { receiveBufferBytes, heard });
    } catch (error) {
      if (error instanceof PodplugError) return error;
      throw error;
    }
  }

  function heard(event: NetnsEvent): void {
    const concerned = event.kind === "missed" ? [...followers.values()] : [followers.get(event.nsid) ?? []];
    const news = event.kind === "ended" ? "ended" : "changed";
    for (const each of concerned) for (const follower of each) due.set(follower, news);
    // Its number may be another's next.
    if (event.kind === "ended") followers.delete(event.nsid);
    if (due.size > 0) timer ??= clock.setTimer(quietMs, tell);
  }

  function tell(): void {
    timer = undefined;
    const now = [...due];
    due.clear();
    for (const [follower, news] of now) follower(news);
  }

  function add(nsid: number, follower: Follower): Disposable {
    const own = followers.get(nsid) ?? new Set();
    followers.set(nsid, own.add(follower));
    return {
      [Symbol.dispose]() {
        due.delete(follower);
        own.delete(follower);
        if (own.size === 0 && followers.get(nsid) === own) followers.delete(nsid);
      },
    };
  }

  return {
    async follow(place, follower, signal) {
      if (signal.aborted) throw abortError(signal, `following ${place.netnsPath}`);
      if (socket instanceof PodplugError) throw socket;
      const fd = await openNetnsFile(place.netnsPath, seenAt);
      try {
        requireSame(place, fd);
        const nsid = await nsidOf(fd, libc);
        // While the namespace is held open its number is nobody else's.
        return add(nsid, follower);
      } finally {
        closeSync(fd);
      }
    },
    [Symbol.dispose]() {
      timer?.[Symbol.dispose]();
      if (!(socket instanceof PodplugError)) socket[Symbol.dispose]();
      followers.clear();
    },
  };
}

function requireSame({ netnsPath, netns }: NetnsPlace, fd: number): void {
  if (netns === undefined || netns.inode === inodeOf(fstatSync(fd, { bigint: true }))) return;
  throw new PodplugError("SANDBOX_NOT_READY", `${netnsPath} became another namespace`);
}
