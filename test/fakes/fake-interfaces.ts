import { PodplugError } from "../../src/domain/errors.ts";
import { abortError } from "../../src/domain/signals.ts";
import {
  type DefaultRoute,
  type DefaultRoutes,
  type InterfaceEvents,
  type InterfaceReader,
  type IpFamily,
  isSameNetns,
  type KernelInterface,
  type NetnsIdentity,
  type NetnsNews,
  type NetnsPlace,
} from "../../src/interfaces/contract.ts";

/** What a test says of a link; the rest is made up as a kernel would. */
interface FakeLink {
  readonly name: string;
  readonly mac?: string;
  readonly mtu?: number;
  readonly up?: boolean;
  /** With prefix length. */
  readonly ips?: readonly string[];
}

/**
 * A kernel in memory. Namespaces are reached by their paths; link indexes grow
 * within each namespace and are never given twice, cookies never on the node.
 * To act on a path or link that isn't there throws: the test is wrong.
 */
export interface FakeInterfaces extends InterfaceReader, DefaultRoutes, InterfaceEvents {
  /** A new namespace with nothing in it. */
  addNetns(path: string): void;
  /** Another path to a namespace that is there. */
  addPath(path: string, existing: string): void;
  hasNetns(path: string): boolean;
  /** The path goes; the namespace too when it was the last one. */
  removePath(path: string): void;
  /** Another namespace under the same path, with the same inode number: the kernel reuses them. */
  recycleNetns(path: string): void;
  /** A file that isn't a network namespace. */
  addFile(path: string): void;
  /** Every namespace is gone and the boot ID is another one. */
  reboot(): void;

  addLink(path: string, link: FakeLink): KernelInterface;
  changeLink(path: string, name: string, change: Partial<FakeLink>): KernelInterface;
  removeLink(path: string, name: string): void;
  /** Of a namespace, at once and without `lo`; empty when there is no such path. */
  links(path: string): readonly KernelInterface[];

  /** A default route that is there, by `via GATEWAY dev NAME`; more words are further attributes. */
  addDefaultRoute(path: string, route: string): void;
  /** All there are, as `via GATEWAY dev NAME …`, sorted. */
  defaultRoutesOf(path: string): readonly string[];

  /** Every look fails with it, until cleared with `undefined`. */
  failWith(error: PodplugError | undefined): void;
}

interface Netns {
  readonly inode: number;
  readonly cookie: number;
  readonly links: Map<string, KernelInterface>;
  readonly followers: Set<(news: NetnsNews) => void>;
  lastIndex: number;
  /** Keyed by their encoded form: `GATEWAY INDEX …` in base64. */
  readonly routes: Map<string, DefaultRoute>;
}

/** Here nobody sends anything. */
const nothingCarried = {
  rxBytes: 0,
  txBytes: 0,
  rxPackets: 0,
  txPackets: 0,
  rxErrors: 0,
  txErrors: 0,
  rxDropped: 0,
  txDropped: 0,
};

export function createFakeInterfaces(): FakeInterfaces {
  const namespaces = new Map<string, Netns>();
  const files = new Set<string>();
  let boots = 1;
  let lastInode = 4026532000;
  let lastCookie = 4096;
  let lastMac = 0;
  let failure: PodplugError | undefined;

  const makeNetns = (inode: number): Netns => ({
    inode,
    cookie: ++lastCookie,
    links: new Map(),
    followers: new Set(),
    // The first is lo's.
    lastIndex: 1,
    routes: new Map(),
  });

  const netnsAt = (path: string): Netns => {
    const netns = namespaces.get(path);
    if (!netns) throw new Error(`the test has no namespace ${path}`);
    return netns;
  };

  const linkIn = (netns: Netns, name: string): KernelInterface => {
    const link = netns.links.get(name);
    if (!link) throw new Error(`the test has no link ${name}`);
    return link;
  };

  const identityOf = ({ inode, cookie }: Netns): NetnsIdentity => ({
    bootId: `boot-${boots}`,
    inode: `4:${inode}`,
    cookie: String(cookie),
  });

  const linksOf = (netns: Netns): readonly KernelInterface[] =>
    [...netns.links.values()].sort((a, b) => a.index - b.index);

  const look = (path: string, signal: AbortSignal): Netns => {
    if (signal.aborted) throw abortError(signal, `looking into ${path}`);
    if (failure) throw failure;
    if (files.has(path)) throw new PodplugError("TARGET_INVALID", `not a network namespace: ${path}`);
    const netns = namespaces.get(path);
    if (!netns) throw new PodplugError("TARGET_NOT_FOUND", `no network namespace at ${path}`);
    return netns;
  };

  const lookAt = ({ netnsPath, netns }: NetnsPlace, signal: AbortSignal): Netns => {
    const found = look(netnsPath, signal);
    if (netns && !isSameNetns(netns, identityOf(found))) {
      throw new PodplugError("SANDBOX_NOT_READY", `${netnsPath} became another namespace`);
    }
    return found;
  };

  /** In a turn of its own, as from the kernel. */
  const tell = ({ followers }: Netns, news: NetnsNews = "changed"): void => {
    const concerned = [...followers];
    setImmediate(() => {
      for (const heard of concerned) if (followers.has(heard)) heard(news);
    });
  };

  const leave = (path: string): void => {
    const netns = netnsAt(path);
    namespaces.delete(path);
    if (![...namespaces.values()].includes(netns)) tell(netns, "ended");
  };

  return {
    async follow(place, heard, signal) {
      const { followers } = lookAt(place, signal);
      followers.add(heard);
      return { [Symbol.dispose]: () => void followers.delete(heard) };
    },
    async identify(netnsPath, signal): Promise<NetnsIdentity> {
      return identityOf(look(netnsPath, signal));
    },
    async search(netns, signal) {
      if (signal.aborted) throw abortError(signal, "searching for a namespace");
      const found = namespaces.entries().find(([, each]) => isSameNetns(identityOf(each), netns));
      return found?.[0];
    },
    async list({ counters = false, ...place }, signal) {
      const links = linksOf(lookAt(place, signal));
      return counters ? links.map((link) => ({ ...link, counters: nothingCarried })) : links;
    },
    async defaultRoutes(place, signal) {
      return [...lookAt(place, signal).routes.values()].sort((a, b) => a.family.localeCompare(b.family));
    },
    async takeDefaultRoutes(place, { ifIndex, gateways }, signal) {
      const netns = lookAt(place, signal);
      const link = linksOf(netns).find(({ index }) => index === ifIndex);
      const wanted = gateways.map((gateway) => routeOf(gateway, ifIndex));
      for (const gateway of gateways) {
        if (link?.ips.some((ip) => isNear(ip, gateway))) continue;
        throw new PodplugError("GATEWAY_OUT_OF_REACH", `default-route: ${gateway} is out of reach`);
      }
      const own =
        wanted.length > 0
          ? wanted
          : [...netns.routes.values()].filter(({ ifIndexes }) => ifIndexes.includes(ifIndex));
      const families = new Set(own.map(({ family }) => family));
      const keep = new Set(own.map(({ encoded }) => encoded));
      for (const { family, encoded } of netns.routes.values()) {
        if (families.has(family) && !keep.has(encoded)) netns.routes.delete(encoded);
      }
      for (const route of own) netns.routes.set(route.encoded, route);
      return [...families];
    },
    async restoreDefaultRoutes(place, routes, signal) {
      const netns = lookAt(place, signal);
      const indexes = new Set(linksOf(netns).map(({ index }) => index));
      const isLost = ({ ifIndexes }: DefaultRoute): boolean =>
        !ifIndexes.every((index) => indexes.has(index));
      for (const route of routes) if (!isLost(route)) netns.routes.set(route.encoded, route);
      return routes.filter(isLost);
    },

    addNetns(path) {
      if (namespaces.has(path) || files.has(path)) throw new Error(`the test has ${path} already`);
      namespaces.set(path, makeNetns(++lastInode));
    },
    addPath(path, existing) {
      namespaces.set(path, netnsAt(existing));
    },
    hasNetns(path) {
      return namespaces.has(path);
    },
    removePath: leave,
    recycleNetns(path) {
      const { inode } = netnsAt(path);
      leave(path);
      namespaces.set(path, makeNetns(inode));
    },
    addFile(path) {
      files.add(path);
    },
    reboot() {
      namespaces.clear();
      boots += 1;
    },

    addLink(path, { name, mac, mtu = 1500, up = true, ips = [] }) {
      const netns = netnsAt(path);
      if (netns.links.has(name)) throw new Error(`the test has a link ${name} in ${path} already`);
      const link = { index: ++netns.lastIndex, name, mac: mac ?? madeUpMac(++lastMac), mtu, up, ips };
      netns.links.set(name, link);
      tell(netns);
      return link;
    },
    changeLink(path, name, change) {
      const netns = netnsAt(path);
      const { links } = netns;
      const changed = { ...linkIn(netns, name), ...change };
      if (changed.name !== name && links.has(changed.name)) throw new Error(`${changed.name} is taken`);
      links.delete(name);
      links.set(changed.name, changed);
      tell(netns);
      return changed;
    },
    removeLink(path, name) {
      const netns = netnsAt(path);
      const { index } = linkIn(netns, name);
      netns.links.delete(name);
      for (const { encoded, ifIndexes } of netns.routes.values()) {
        if (ifIndexes.includes(index)) netns.routes.delete(encoded);
      }
      tell(netns);
    },
    links(path) {
      const netns = namespaces.get(path);
      return netns ? linksOf(netns) : [];
    },

    addDefaultRoute(path, words) {
      const netns = netnsAt(path);
      const [, gateway = "", , name = "", ...attributes] = words.split(" ");
      const route = routeOf(gateway, linkIn(netns, name).index, attributes);
      netns.routes.set(route.encoded, route);
    },
    defaultRoutesOf(path) {
      const netns = netnsAt(path);
      const nameOf = (index: string | undefined): string =>
        linksOf(netns).find((link) => String(link.index) === index)?.name ?? "";
      return [...netns.routes.keys()]
        .map((encoded) => Buffer.from(encoded, "base64").toString().split(" "))
        .map(([gateway, index, ...attributes]) =>
          ["via", gateway, "dev", nameOf(index), ...attributes].join(" "),
        )
        .toSorted();
    },

    failWith(error) {
      failure = error;
    },
  };
}

function routeOf(gateway: string, index: number, attributes: readonly string[] = []): DefaultRoute {
  const family: IpFamily = gateway.includes(":") ? "ipv6" : "ipv4";
  const encoded = Buffer.from([gateway, index, ...attributes].join(" ")).toString("base64");
  return { family, ifIndexes: [index], encoded };
}

/** Every network of this kernel is a /24 or a /64 with all its groups written out. */
function isNear(ip: string, gateway: string): boolean {
  const separator = gateway.includes(":") ? ":" : ".";
  const network = gateway.slice(0, gateway.lastIndexOf(separator) + 1);
  return ip.startsWith(network);
}

function madeUpMac(ordinal: number): string {
  const digits = ordinal.toString(16).padStart(8, "0");
  return `02:00:${(digits.match(/../g) ?? []).join(":")}`;
}
