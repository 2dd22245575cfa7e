import { randomUUID } from "node:crypto";
import type { CacheEntry } from "../cni/cache.ts";
import { readNetworkList } from "../cni/network-list.ts";
import { toNewestResult } from "../cni/results.ts";
import { asPodplugError, messageOf, PodplugError } from "../domain/errors.ts";
import { podInterface } from "../domain/names.ts";
import type { AttachAnswer } from "../domain/node-api.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { KernelInterface } from "../interfaces/contract.ts";
import { factsOf } from "./apply.ts";
import { cniArgsOf } from "./cni-args.ts";
import type { AttachWork, EngineCore } from "./core.ts";
import type { AttachmentRecord } from "./journal.ts";
import { viewOf } from "./view.ts";

/**
 * Takes over what the cluster's meta plugin plugged at the pod's creation: no
 * plugin runs, but from now on there is a record, with the configuration that
 * the meta plugin noted, by which the interface can be watched over and
 * detached. Callers hold the sandbox's lane. NOT_ADOPTABLE.
 */
export function createAdopt(core: EngineCore) {
  const { book, interfaces, cached, networks, clock, feed, log } = core;

  return async function adopt(
    { caller, request, wish, sandbox }: AttachWork,
    signal: AbortSignal,
  ): Promise<AttachAnswer> {
    const { interface: ifName, namespace = sandbox.pod?.namespace, name } = wish.selection;
    if (ifName === undefined || name === undefined) {
      throw new PodplugError("INVALID_REQUEST", "adopting needs the names of the interface and its network");
    }
    const entry = await cached.find(sandbox.id, ifName);
    if (!entry) {
      const message = `no CNI cache of this node tells how ${ifName} was plugged`;
      throw new PodplugError("NOT_ADOPTABLE", message);
    }
    const link = requireItsLink(entry, await interfaces.list(sandbox, signal));
    await requireAdditional(entry);
    await requireAskedFor(entry, { wish, sandbox }, signal);
    const record: AttachmentRecord = {
      id: randomUUID(),
      state: "attached",
      adopted: true,
      sandbox,
      ifName,
      target: request.target,
      network: namespace === undefined ? name : `${namespace}/${name}`,
      selection: wish.selection,
      owner: wish.owner,
      key: wish.key,
      caller: caller.name,
      // The record has the whole configuration, as the meta plugin ran it.
      executor: "direct",
      chain: {
        networkName: entry.networkName,
        config: entry.config,
        // Kactus notes none; it gives its plugins what it is given.
        cniArgs: entry.cniArgs.length > 0 ? entry.cniArgs : cniArgsOf(sandbox),
        capabilityArgs: entry.capabilityArgs,
        result: entry.result,
        ifIndex: link.index,
      },
      attachedAt: clock.now(),
    };
    signal.throwIfAborted();
    if (!request.validateOnly) {
      await book.write(record);
      log.info(factsOf(record), "adopted");
    }
    const view = viewOf(sandbox, link, record);
    if (!request.validateOnly) feed.publish({ kind: "attached", interface: view });
    return { interface: view, created: false };
  };

  /** Not the pod's default network, which must never be detached. */
  async function requireAdditional({ ifName, networkName }: CacheEntry): Promise<void> {
    if (ifName !== podInterface && networkName !== (await core.defaultNetworkName())) return;
    const message = `${ifName} is of the pod's own network, ${networkName}, and goes with the pod`;
    throw new PodplugError("NOT_ADOPTABLE", message);
  }

  /**
   * A pod's editor can write any name into its network-status: the interface
   * must be of the network that the selection names, as far as there is a
   * definition to tell by.
   */
  async function requireAskedFor(
    { ifName, networkName }: CacheEntry,
    { wish: { selection }, sandbox }: Pick<AttachWork, "wish" | "sandbox">,
    signal: AbortSignal,
  ): Promise<void> {
    const named = await nameOfDefined(selection, sandbox.pod?.namespace, signal);
    if (named === undefined || named === networkName) return;
    const message = `${ifName} was plugged from network ${networkName}, and ${selection.name} is ${named}`;
    throw new PodplugError("NOT_ADOPTABLE", message);
  }

  /** As CNI calls it. Undefined when no definition tells: it may have been deleted since the pod was made. */
  async function nameOfDefined(
    selection: NetworkSelection,
    podNamespace: string | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    try {
      const { config, displayName } = await networks.find(selection, podNamespace, signal);
      return readNetworkList(config, { source: `network ${displayName}` }).name;
    } catch (error) {
      const { reason, transient } = asPodplugError(error);
      if (reason === "NETWORK_NOT_FOUND" || !transient) return undefined;
      throw error;
    }
  }
}

/**
 * The link that the entry's ADD made. A name alone proves nothing: somebody
 * may have made another link under it, as KubeVirt does when it renames the
 * first; the hardware address that ADD answered does, when one link has it.
 * Without an answer the name has to do, which kactus makes from the Network's.
 */
function requireItsLink(entry: CacheEntry, links: readonly KernelInterface[]): KernelInterface {
  const { ifName } = entry;
  const mac = macOf(entry);
  const link = links.find(({ name }) => name === ifName);
  const alike = links.filter((each) => mac !== "" && each.mac === mac);
  if (link && (mac === "" || (alike.length === 1 && alike[0] === link))) return link;
  const found = link ? "another one has its name or its hardware address" : "it isn't there";
  throw new PodplugError("NOT_ADOPTABLE", `${ifName} isn't the link that was plugged any more: ${found}`);
}

/** Empty when ADD told none, or its answer wasn't kept. */
function macOf({ config, networkName, ifName, result }: CacheEntry): string {
  try {
    // What DEL couldn't run with must not pass for an attachment that can be detached.
    readNetworkList(config, { source: `network ${networkName}` });
    if (result === undefined) return "";
    const made = toNewestResult(result).interfaces?.find(({ name, sandbox }) => name === ifName && sandbox);
    return (made?.mac ?? "").toLowerCase();
  } catch (cause) {
    const message = `the CNI cache's entry of ${ifName} can't be used: ${messageOf(cause)}`;
    throw new PodplugError("NOT_ADOPTABLE", message, { cause });
  }
}
