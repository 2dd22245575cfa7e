import { randomUUID } from "node:crypto";
import type { CacheEntry } from "../cni/cache.ts";
import { readNetworkList } from "../cni/network-list.ts";
import { toNewestResult } from "../cni/results.ts";
import { messageOf, PodplugError } from "../domain/errors.ts";
import type { AttachAnswer } from "../domain/node-api.ts";
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
  const { book, interfaces, cached, clock, feed, log } = core;

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
