import type { InterfaceCounters } from "../domain/node-api.ts";

/**
 * Which namespace a path leads to, whatever it is called. Inode numbers are
 * recycled within a boot; the kernel's cookie is not (Linux 5.14 and newer;
 * empty before).
 */
export interface NetnsIdentity {
  readonly bootId: string;
  /** `device:inode` of the namespace file. */
  readonly inode: string;
  readonly cookie: string;
}

/** One interface as the kernel has it now. */
export interface KernelInterface {
  readonly index: number;
  readonly name: string;
  /** In lower case with colons; empty for a link without a hardware address. */
  readonly mac: string;
  readonly mtu: number;
  /** Administratively up and with a carrier. */
  readonly up: boolean;
  /** With prefix length, in the kernel's order; IPv6 link-local ones too. */
  readonly ips: readonly string[];
  /** When they were asked for: what it has carried since it was made. */
  readonly counters?: InterfaceCounters | undefined;
}

/** Where a namespace lies and, when it is known, which one must be there. */
export interface NetnsPlace {
  readonly netnsPath: string;
  readonly netns?: NetnsIdentity | undefined;
}

export interface ListedPlace extends NetnsPlace {
  readonly counters?: boolean | undefined;
}

/**
 * Looks into network namespaces without entering them for longer than a
 * system call. Failures are PodplugErrors: TARGET_NOT_FOUND when the path
 * doesn't exist, TARGET_INVALID when it isn't a network namespace.
 */
export interface InterfaceReader {
  identify(netnsPath: string, signal: AbortSignal): Promise<NetnsIdentity>;
  /** Another way into a namespace whose path is gone: by a process that is in it. Undefined when there is none. */
  search(netns: NetnsIdentity, signal: AbortSignal): Promise<string | undefined>;
  /** Every interface but `lo`, by ascending index. SANDBOX_NOT_READY when the path leads to another namespace by now. */
  list(place: ListedPlace, signal: AbortSignal): Promise<readonly KernelInterface[]>;
}

/** What a follower of a namespace hears: `ended` is the last of it. */
export type NetnsNews = "changed" | "ended";

/** Tells when namespaces change. */
export interface InterfaceEvents {
  /**
   * Calls `heard` within a second after links or addresses of the namespace
   * changed or may have, once for many changes in a row, and when the namespace
   * ended, until disposed of. One that is followed ends as any other.
   * InterfaceReader's failures, and UNSUPPORTED where the kernel doesn't tell.
   */
  follow(place: NetnsPlace, heard: (news: NetnsNews) => void, signal: AbortSignal): Promise<Disposable>;
}

export function isSameNetns(a: NetnsIdentity, b: NetnsIdentity): boolean {
  return a.bootId === b.bootId && a.inode === b.inode && a.cookie === b.cookie;
}

export type IpFamily = "ipv4" | "ipv6";

/** A default route of a namespace's main table. */
export interface DefaultRoute {
  readonly family: IpFamily;
  /** The interfaces it leads out of: several for a route over several hops. */
  readonly ifIndexes: readonly number[];
  /** All there is to it (gateways, priority, source, flags, metrics, …), for this kernel to make it again. */
  readonly encoded: string;
}

/** A default route as it is asked for: through these gateways, at most one of a family, on this interface. */
export interface RouteThrough {
  readonly ifIndex: number;
  readonly gateways: readonly string[];
}

/**
 * Reads and changes a namespace's default routes, with InterfaceReader's
 * failures. What another table has, or is no plain route to everywhere
 * (unreachable, blackhole), is neither seen nor touched.
 */
export interface DefaultRoutes {
  defaultRoutes(place: NetnsPlace, signal: AbortSignal): Promise<readonly DefaultRoute[]>;
  /**
   * Makes the gateways the only default routes of their families; without any,
   * the interface's own ones, where it has one. Answers the families it is
   * about. GATEWAY_OUT_OF_REACH when a gateway can't be reached through the
   * interface; some may be changed by then.
   */
  takeDefaultRoutes(
    place: NetnsPlace,
    through: RouteThrough,
    signal: AbortSignal,
  ): Promise<readonly IpFamily[]>;
  /** Puts back those that are missing. Answers those that can't be: their interface is gone or down, or their gateway out of reach. */
  restoreDefaultRoutes(
    place: NetnsPlace,
    routes: readonly DefaultRoute[],
    signal: AbortSignal,
  ): Promise<readonly DefaultRoute[]>;
}
