import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { DefaultRoute, DefaultRoutes, IpFamily, KernelInterface } from "../interfaces/contract.ts";
import type { AttachmentRecord, RecordedChain } from "./journal.ts";
import { recordKey } from "./journal.ts";
import type { LiveNamespace } from "./namespaces.ts";
import type { RecordBook } from "./record-book.ts";

/**
 * The default routes that selections ask for (NPWG standard v1.3, section
 * 4.1.2.1.9), and what was there before them.
 *
 * The last attachment wins: it takes the default routes of its gateways'
 * families and remembers, durably and before its ADD, those it replaces. When
 * one goes,
 * - whoever remembers routes through its interface gets what it remembered
 *   itself in their place: they would lead nowhere now;
 * - what it remembered is put back, but only where the default routes there
 *   are by then are all among them: any other one was made by a later
 *   attachment, or by the pod, and stays.
 * Both may be done again after an interruption, and come to the same.
 */
export interface RouteKeeper {
  /** The record with the routes that its attachment will replace; unchanged when it asks for none. */
  remember(record: AttachmentRecord, signal: AbortSignal): Promise<AttachmentRecord>;
  /** Sets what the selection asks for. The record it answers remembers only what was replaced. */
  take(
    record: AttachmentRecord,
    link: KernelInterface | undefined,
    signal: AbortSignal,
  ): Promise<AttachmentRecord>;
  /** After the record's interface went: hands on and puts back. */
  giveBack(record: AttachmentRecord, there: LiveNamespace, signal: AbortSignal): Promise<void>;
}

export function createRouteKeeper(options: {
  readonly book: RecordBook;
  readonly interfaces: DefaultRoutes;
  readonly log: Logger;
}): RouteKeeper {
  const { book, interfaces, log } = options;

  async function remember(record: AttachmentRecord, signal: AbortSignal): Promise<AttachmentRecord> {
    if (!record.selection.defaultRoute) return record;
    return remembering(record, await interfaces.defaultRoutes(record.sandbox, signal));
  }

  async function take(
    record: AttachmentRecord,
    link: KernelInterface | undefined,
    signal: AbortSignal,
  ): Promise<AttachmentRecord> {
    const { defaultRoute } = record.selection;
    if (!defaultRoute) return record;
    if (!link) {
      const message = `default-route: network ${record.network} has no kernel interface to route through`;
      throw new PodplugError("UNSUPPORTED", message);
    }
    const through = { ifIndex: link.index, gateways: defaultRoute.gateways };
    const families = await interfaces.takeDefaultRoutes(record.sandbox, through, signal);
    const before = record.chain.routesBefore ?? [];
    return remembering(
      record,
      before.filter(({ family }) => families.includes(family)),
    );
  }

  async function giveBack(
    record: AttachmentRecord,
    there: LiveNamespace,
    signal: AbortSignal,
  ): Promise<void> {
    const { routesBefore, ifIndex } = record.chain;
    if (!routesBefore) return;
    if (ifIndex !== undefined) await handOn(record, ifIndex, routesBefore);
    const place = { netnsPath: there.netnsPath, netns: record.sandbox.netns };
    const present = await interfaces.defaultRoutes(place, signal);
    const missing = routesBefore.filter(
      ({ family }) => !present.some((each) => each.family === family && !isAmong(each, routesBefore)),
    );
    if (missing.length === 0) return;
    const lost = await interfaces.restoreDefaultRoutes(place, missing, signal);
    if (lost.length === 0) return;
    log.warn(
      { sandbox: record.sandbox.id, interface: record.ifName, routes: lost.length },
      "default routes can't be put back: their interface is gone or down, or their gateway out of reach",
    );
  }

  async function handOn(
    gone: AttachmentRecord,
    ifIndex: number,
    routesBefore: readonly DefaultRoute[],
  ): Promise<void> {
    const handedOn = (chain: RecordedChain): RecordedChain => inherit(chain, ifIndex, routesBefore);
    for (const other of book.ofSandbox(gone.sandbox.id)) {
      if (recordKey(other) === recordKey(gone)) continue;
      const chain = handedOn(other.chain);
      const replaces = other.replaces && handedOn(other.replaces);
      if (chain !== other.chain || replaces !== other.replaces)
        await book.write({ ...other, chain, replaces });
    }
  }

  return { remember, take, giveBack };
}

function remembering(record: AttachmentRecord, routesBefore: readonly DefaultRoute[]): AttachmentRecord {
  return { ...record, chain: { ...record.chain, routesBefore } };
}

/** The same chain when it remembers no route through the interface. */
function inherit(chain: RecordedChain, ifIndex: number, from: readonly DefaultRoute[]): RecordedChain {
  const remembered = chain.routesBefore ?? [];
  const leadsNowhere = remembered.filter((route) => route.ifIndexes.includes(ifIndex));
  if (leadsNowhere.length === 0) return chain;
  const families = new Set<IpFamily>(leadsNowhere.map(({ family }) => family));
  const kept = remembered.filter((route) => !leadsNowhere.includes(route));
  const inherited = from.filter((route) => families.has(route.family) && !isAmong(route, kept));
  return { ...chain, routesBefore: [...kept, ...inherited] };
}

function isAmong({ encoded }: DefaultRoute, routes: readonly DefaultRoute[]): boolean {
  return routes.some((route) => route.encoded === encoded);
}
