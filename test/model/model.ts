import { lowestFreeNetName } from "../../src/domain/names.ts";

/** A pod, or a bare namespace. */
export type Place = "pod-a" | "pod-b" | "bare";
export const places: readonly Place[] = ["pod-a", "pod-b", "bare"];

export type Caller = "alice" | "bob" | "controller";

export interface AttachAct {
  readonly place: Place;
  readonly caller: Caller;
  readonly network: "blue" | "green";
  readonly interface?: string | undefined;
  readonly key?: string | undefined;
  readonly replace: boolean;
  readonly defaultRoute: boolean;
}

export interface DetachAct {
  readonly place: Place;
  readonly caller: Caller;
  readonly which:
    | { readonly by: "interface"; readonly interface: string }
    | { readonly by: "network"; readonly network: string }
    /** The nth attachment of the place, by its ID. */
    | { readonly by: "id"; readonly nth: number };
  readonly force: boolean;
}

/** An attachment as it must be when everything has come to rest. */
export interface Held {
  readonly place: Place;
  readonly ifName: string;
  readonly caller: Caller;
  readonly network: string;
  readonly named: boolean;
  readonly key: string;
  readonly defaultRoute: boolean;
  readonly id: string;
  /** What was done to its link by hand; or it waits to be made again, while somebody's own link has its name. */
  readonly damage: "none" | "renamed" | "lost" | "waiting";
  /** Its DEL is owed, and can't run while the link has another name. */
  readonly owed: boolean;
}

/** What must be true of the node, known without looking at it. */
export interface Model {
  held: readonly Held[];
  /** Links that nobody plugged, by the place and their name. */
  foreign: readonly string[];
}

/** What a request comes to when nothing fails. */
export type Expected =
  | { readonly step: "refused"; readonly reason: string }
  | { readonly step: "exists"; readonly held: Held }
  | { readonly step: "create"; readonly ifName: string }
  | { readonly step: "replace"; readonly held: Held }
  /** The old one goes, and the new one meets somebody else's link. */
  | { readonly step: "replace-blocked"; readonly held: Held }
  | { readonly step: "remove"; readonly held: Held }
  /** The link has another name by now: DEL wouldn't find it, and is tried for ever. */
  | { readonly step: "owe"; readonly held: Held }
  | { readonly step: "nothing" };

export function renamed(ifName: string): string {
  return `my-${ifName}`;
}

function linkName({ ifName, damage }: Held): string | undefined {
  if (damage === "lost" || damage === "waiting") return undefined;
  return damage === "renamed" ? renamed(ifName) : ifName;
}

export function heldIn({ held }: Model, place: Place): readonly Held[] {
  return held.filter((each) => each.place === place);
}

export function linksIn(model: Model, place: Place): readonly string[] {
  return [
    ...(place === "bare" ? [] : ["eth0"]),
    ...model.foreign
      .filter((each) => each.startsWith(`${place} `))
      .map((each) => each.slice(place.length + 1)),
    ...heldIn(model, place).flatMap((each) => linkName(each) ?? []),
  ];
}

export function expectAttach(model: Model, act: AttachAct): Expected {
  const own = heldIn(model, act.place);
  const { interface: ifName, key = "" } = act;
  const found =
    ifName === undefined
      ? own.find(
          (each) =>
            each.caller === act.caller &&
            !each.named &&
            each.key === key &&
            (key !== "" || isSame(each, act)),
        )
      : own.find((each) => each.ifName === ifName);
  if (found) return against(model, act, found);
  const taken = new Set([...linksIn(model, act.place), ...own.map((each) => each.ifName)]);
  if (ifName === undefined) return { step: "create", ifName: lowestFreeNetName(taken) };
  return taken.has(ifName) ? { step: "refused", reason: "INTERFACE_IN_USE" } : { step: "create", ifName };
}

function against(model: Model, act: AttachAct, held: Held): Expected {
  const conflict = act.interface === undefined ? "KEY_IN_USE" : "INTERFACE_IN_USE";
  if (held.caller !== act.caller) return { step: "refused", reason: conflict };
  if (held.owed) return { step: "refused", reason: "CLEANUP_PENDING" };
  if (!isSame(held, act) && !act.replace) return { step: "refused", reason: conflict };
  if (held.damage === "waiting") return { step: "refused", reason: "INTERFACE_IN_USE" };
  if (isSame(held, act)) return { step: "exists", held };
  if (held.damage === "renamed") return { step: "refused", reason: "INTERFACE_LEFT" };
  const blocked = held.damage === "lost" && linksIn(model, held.place).includes(held.ifName);
  return { step: blocked ? "replace-blocked" : "replace", held };
}

function isSame(held: Held, act: AttachAct): boolean {
  return (
    held.network === act.network &&
    held.defaultRoute === act.defaultRoute &&
    held.named === (act.interface !== undefined)
  );
}

export function expectDetach(model: Model, act: DetachAct): Expected {
  const own = heldIn(model, act.place);
  const { which } = act;
  let held: Held | undefined;
  switch (which.by) {
    case "interface":
      held =
        own.find(({ ifName }) => ifName === which.interface) ??
        own.find((each) => linkName(each) === which.interface);
      if (!held && linksIn(model, act.place).includes(which.interface)) {
        return { step: "refused", reason: "NOT_DETACHABLE" };
      }
      break;
    case "network": {
      const all = own.filter(({ network }) => network === which.network);
      if (all.length > 1) return { step: "refused", reason: "INVALID_REQUEST" };
      [held] = all;
      break;
    }
    case "id":
      held = own[which.nth];
  }
  if (!held) return { step: "nothing" };
  if (held.caller !== act.caller && !act.force) return { step: "refused", reason: "OWNED_BY_OTHER" };
  return { step: held.damage === "renamed" ? "owe" : "remove", held };
}
