import { messageOf } from "../domain/errors.ts";
import { goJson, isJsonObject, type JsonObject } from "../domain/json.ts";

/**
 * One element of network-status, as whoever wrote it wrote it: every key is
 * kept, also those that nobody here knows.
 */
export type StatusEntry = JsonObject;

export type StatusText =
  | { readonly kind: "entries"; readonly entries: readonly StatusEntry[] }
  /** Not a list of objects. */
  | { readonly kind: "malformed"; readonly fault: string };

/** An absent or empty annotation is an empty list. */
export function readStatus(text: string | undefined): StatusText {
  if (text === undefined || text.trim() === "") return { kind: "entries", entries: [] };
  try {
    const value: unknown = JSON.parse(text);
    if (Array.isArray(value) && value.every(isJsonObject)) return { kind: "entries", entries: value };
    return { kind: "malformed", fault: "it isn't a list of objects" };
  } catch (error) {
    return { kind: "malformed", fault: messageOf(error) };
  }
}

/** The text as the network-attachment-definition client prints it: each entry indented, none beside another. */
export function writeStatus(entries: readonly StatusEntry[]): string {
  return `[${entries.map((entry) => goJson(entry, 4)).join(",")}]`;
}

export function interfaceOf(entry: StatusEntry): string {
  return textOf(entry["interface"]);
}

export function networkOf(entry: StatusEntry): string {
  return textOf(entry["name"]);
}

/** Bare, without prefix. */
export function ipsOf(entry: StatusEntry): readonly string[] {
  const ips = entry["ips"];
  return Array.isArray(ips) ? ips.map(textOf) : [];
}

export function macOf(entry: StatusEntry): string {
  return textOf(entry["mac"]).toLowerCase();
}

/** A network's name with its namespace, which is the pod's where none is written. */
export function wholeName(network: string, podNamespace: string): string {
  return network.includes("/") ? network : `${podNamespace}/${network}`;
}

export function isDefault(entry: StatusEntry): boolean {
  return entry["default"] === true;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
