import type { PodInterface } from "../../../domain/node-api.ts";
import type { Colours, Paint } from "./colours.ts";
import type { Cell } from "./table.ts";
import { visible } from "./visible.ts";

export interface ColumnOptions {
  readonly wide: boolean;
  readonly colours: Colours;
  readonly now: Date;
}

interface Column {
  readonly title: string;
  readonly wideOnly?: boolean;
  readonly cell: (one: PodInterface, options: ColumnOptions) => Cell;
}

const columns: readonly Column[] = [
  { title: "POD/NETNS", cell: (one) => plain(placeOf(one)) },
  { title: "INTERFACE", cell: (one) => plain(one.name) },
  { title: "NETWORK", cell: (one) => plain(one.network) },
  { title: "IPS", cell: (one, { wide }) => plain((wide ? one.ips : tellingIps(one)).join(",")) },
  { title: "MAC", cell: (one) => plain(one.mac) },
  { title: "STATE", cell: (one, { colours }) => ({ ...plain(stateOf(one)), paint: paintOf(one, colours) }) },
  { title: "OWNER", wideOnly: true, cell: (one) => plain(one.owner) },
  { title: "KEY", wideOnly: true, cell: (one) => plain(one.key) },
  { title: "ID", wideOnly: true, cell: (one) => plain(one.attachmentId) },
  { title: "MTU", wideOnly: true, cell: (one) => plain(one.mtu === 0 ? "" : String(one.mtu)) },
  { title: "INDEX", wideOnly: true, cell: (one) => plain(one.index === 0 ? "" : String(one.index)) },
  { title: "AGE", wideOnly: true, cell: (one, { now }) => plain(ageOf(one.attachedAt, now)) },
  { title: "FAILURE", wideOnly: true, cell: (one) => plain(failureTextOf(one)) },
];

export function interfaceTitles(options: ColumnOptions): Cell[] {
  return columnsFor(options).map(({ title }) => ({ text: title, paint: options.colours.heading }));
}

export function interfaceCells(one: PodInterface, options: ColumnOptions): Cell[] {
  return columnsFor(options).map(({ cell }) => cell(one, options));
}

function columnsFor({ wide }: ColumnOptions): readonly Column[] {
  return wide ? columns : columns.filter(({ wideOnly }) => !wideOnly);
}

/** `namespace/pod`, as the POD argument takes it, or the path of a bare namespace. */
export function placeOf(one: PodInterface): string {
  return one.pod === undefined ? one.netns : `${one.pod.namespace}/${one.pod.name}`;
}

function plain(text: string): Cell {
  return { text: text === "" ? "-" : visible(text) };
}

/** Every link has an IPv6 link-local address of its own making: beside others it says nothing, and takes half a line. */
function tellingIps({ ips }: PodInterface): readonly string[] {
  const others = ips.filter((address) => !/^fe[89ab]/i.test(address));
  return others.length > 0 ? others : ips;
}

/** An attachment's state, with `(down)` when its link is; the link's own state for what isn't an attachment. */
function stateOf(one: PodInterface): string {
  const link = one.up ? "up" : "down";
  // Neither an attachment nor a link of the kernel's: it was only tried (--dry-run).
  if (one.state === undefined) return one.index === 0 ? "" : link;
  // Without an index there is no kernel interface that could be up: a vfio device, say.
  return one.state === "attached" && !one.up && one.index !== 0 ? "attached (down)" : one.state;
}

function paintOf(one: PodInterface, colours: Colours): Paint | undefined {
  switch (one.state) {
    case undefined:
      return undefined;
    case "attached":
      return one.failure === undefined ? colours.good : colours.pending;
    case "failed":
      return colours.bad;
    case "attaching":
    case "detaching":
    case "waiting":
      return colours.pending;
  }
}

function failureTextOf({ failure }: PodInterface): string {
  return failure === undefined ? "" : `${failure.reason}: ${failure.message}`;
}

/** `45s`, `12m`, `5h`, `3d`: the largest whole unit. */
function ageOf(since: Date | undefined, now: Date): string {
  if (since === undefined) return "";
  const seconds = Math.max(0, Math.floor((now.getTime() - since.getTime()) / 1000));
  if (seconds < 120) return `${seconds}s`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 2 * 86_400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86_400)}d`;
}
