import { PodplugError } from "../domain/errors.ts";
import { canonicalJson } from "../domain/json.ts";
import { hashedNetName, lowestFreeNetName } from "../domain/names.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { KernelInterface } from "../interfaces/contract.ts";
import type { AttachmentRecord } from "./journal.ts";

/** What is wanted: a valid selection, and who wants it. */
export interface Wish {
  readonly selection: NetworkSelection;
  readonly owner: string;
  readonly key: string;
  readonly replace: boolean;
  /** What an unnamed one is called when that is free. */
  readonly preferredName?: string | undefined;
}

/** What is there: the sandbox's records and the kernel's interfaces. */
export interface Present {
  /** Also those that wait to be made again in this very namespace. */
  readonly records: readonly AttachmentRecord[];
  readonly links: readonly KernelInterface[];
  /** Names that are kept for others: no unnamed one gets them. */
  readonly reserved: readonly string[];
}

export type IfNaming = "npwg" | "hash";

/**
 * attach:  the name is free, or kept for `waiting`, whose place it takes.
 * exists:  the same attachment is there already.
 * replace: `record` makes room, under the same name.
 * clean:   `record` is what an earlier attempt left; clean it up, then plan again.
 */
export type Plan =
  | { readonly step: "attach"; readonly ifName: string; readonly waiting?: AttachmentRecord }
  | { readonly step: "exists"; readonly record: AttachmentRecord }
  | { readonly step: "replace"; readonly record: AttachmentRecord }
  | { readonly step: "clean"; readonly record: AttachmentRecord };

/** Decides what an attach request comes to. Throws INTERFACE_IN_USE or KEY_IN_USE. */
export function planAttach(wish: Wish, present: Present, naming: IfNaming): Plan {
  const ifName = wish.selection.interface;
  return ifName === undefined ? planUnnamed(wish, present, naming) : planNamed(wish, ifName, present);
}

function planNamed(wish: Wish, ifName: string, { records, links }: Present): Plan {
  const record = records.find((candidate) => candidate.ifName === ifName);
  if (record) return planAgainst(wish, record, links, "INTERFACE_IN_USE", `interface ${ifName}`);
  requireFree(ifName, links);
  return { step: "attach", ifName };
}

/** An ADD must not meet a link of its name: undoing it would take that away. INTERFACE_IN_USE. */
export function requireFree(ifName: string, links: readonly KernelInterface[]): void {
  if (links.some((link) => link.name === ifName)) {
    throw new PodplugError(
      "INTERFACE_IN_USE",
      `interface ${ifName} is there already, and not as an attachment of that name`,
    );
  }
}

function planUnnamed(wish: Wish, { records, links, reserved }: Present, naming: IfNaming): Plan {
  const own = records.filter(
    (record) => record.owner === wish.owner && record.selection.interface === undefined,
  );
  const record = own.find((candidate) =>
    wish.key === "" ? candidate.key === "" && isSameSelection(candidate, wish) : candidate.key === wish.key,
  );
  if (record) return planAgainst(wish, record, links, "KEY_IN_USE", `key ${wish.key}`);
  const taken = new Set([...records.map((each) => each.ifName), ...links.map((link) => link.name)]);
  if (wish.preferredName !== undefined && !taken.has(wish.preferredName)) {
    return { step: "attach", ifName: wish.preferredName };
  }
  for (const name of reserved) taken.add(name);
  const network = wish.selection.name ?? "";
  return {
    step: "attach",
    ifName: naming === "hash" ? hashedNetName(network, taken) : lowestFreeNetName(taken),
  };
}

function planAgainst(
  wish: Wish,
  record: AttachmentRecord,
  links: Present["links"],
  conflict: "INTERFACE_IN_USE" | "KEY_IN_USE",
  what: string,
): Plan {
  if (record.owner !== wish.owner) {
    throw new PodplugError(
      conflict,
      `${what} is taken by ${record.network}, attached by another owner (${record.owner})`,
    );
  }
  const { state, ifName } = record;
  if (state !== "attached" && state !== "waiting") return { step: "clean", record };
  const isSame = isSameSelection(record, wish);
  if (!isSame && !wish.replace) {
    throw new PodplugError(conflict, `${what} is taken by ${record.network} with other attributes`);
  }
  if (state === "attached") return { step: isSame ? "exists" : "replace", record };
  requireFree(ifName, links);
  return { step: "attach", ifName, waiting: record };
}

function isSameSelection(record: AttachmentRecord, wish: Wish): boolean {
  return canonicalJson(record.selection) === canonicalJson(wish.selection);
}
