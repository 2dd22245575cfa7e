import { PodplugError } from "../../src/domain/errors.ts";
import { abortError } from "../../src/domain/signals.ts";
import {
  type InterfaceReader,
  isSameNetns,
  type KernelInterface,
  type NetnsIdentity,
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
export interface FakeInterfaces extends InterfaceReader {
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

  /** Every look fails with it, until cleared with `undefined`. */
  failWith(error: PodplugError | undefined): void;
}

interface Netns {
  readonly inode: number;
  readonly cookie: number;
  readonly links: Map<string, KernelInterface>;
  lastIndex: number;
}

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
    // The first is lo's.
    lastIndex: 1,
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

  return {
    async identify(netnsPath, signal): Promise<NetnsIdentity> {
      return identityOf(look(netnsPath, signal));
    },
    async list({ netnsPath, netns }, signal) {
      const found = look(netnsPath, signal);
      if (netns && !isSameNetns(netns, identityOf(found))) {
        throw new PodplugError("SANDBOX_NOT_READY", `${netnsPath} became another namespace`);
      }
      return linksOf(found);
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
    removePath(path) {
      netnsAt(path);
      namespaces.delete(path);
    },
    recycleNetns(path) {
      namespaces.set(path, makeNetns(netnsAt(path).inode));
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
      return link;
    },
    changeLink(path, name, change) {
      const { links } = netnsAt(path);
      const changed = { ...linkIn(netnsAt(path), name), ...change };
      if (changed.name !== name && links.has(changed.name)) throw new Error(`${changed.name} is taken`);
      links.delete(name);
      links.set(changed.name, changed);
      return changed;
    },
    removeLink(path, name) {
      const netns = netnsAt(path);
      linkIn(netns, name);
      netns.links.delete(name);
    },
    links(path) {
      const netns = namespaces.get(path);
      return netns ? linksOf(netns) : [];
    },

    failWith(error) {
      failure = error;
    },
  };
}

function madeUpMac(ordinal: number): string {
  const digits = ordinal.toString(16).padStart(8, "0");
  return `02:00:${(digits.match(/../g) ?? []).join(":")}`;
}
