import { PodplugError } from "../domain/errors.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import { isJsonForm, readNetworks } from "./networks-annotation.ts";

/** One network of a pod's annotation, by name. */
export interface NetworkName {
  /** The pod's when absent. */
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly interface?: string | undefined;
}

/** `[NAMESPACE/]NETWORK[@INTERFACE]`. INVALID_SELECTION for anything else. */
export function readNetworkName(text: string): NetworkName {
  const { selections, faults } = readNetworks(text);
  const [selection, ...more] = selections;
  const isOne =
    selection?.name !== undefined && more.length === 0 && faults.length === 0 && !isJsonForm(text);
  if (isOne)
    return { namespace: selection.namespace, name: selection.name ?? "", interface: selection.interface };
  throw new PodplugError(
    "INVALID_SELECTION",
    `${JSON.stringify(text)} isn't a network: use [NAMESPACE/]NETWORK[@INTERFACE]`,
  );
}

/**
 * The annotation with one network more, in the form that it has; all the rest
 * of its text stays. INTERFACE_IN_USE when it asks for that already, or for
 * another network by that interface's name; INVALID_SELECTION when it can't be
 * read as it is.
 */
export function addNetwork(
  annotation: string | undefined,
  network: NetworkName,
  podNamespace: string,
): string {
  const text = annotation ?? "";
  const present = validSelections(text);
  if (present.some((selection) => isSame(selection, network, podNamespace))) {
    throw new PodplugError(
      "INTERFACE_IN_USE",
      `the annotation asks for ${textOf(network)} already; give it an interface's name to plug it once more (${network.name}@INTERFACE)`,
    );
  }
  if (
    network.interface !== undefined &&
    present.some((selection) => selection.interface === network.interface)
  ) {
    throw new PodplugError("INTERFACE_IN_USE", `the annotation names interface ${network.interface} already`);
  }
  if (!isJsonForm(text)) return text.trim() === "" ? textOf(network) : `${text},${textOf(network)}`;
  // Not printed anew: whatever else stands there, and however, is its writer's.
  const end = text.lastIndexOf("]");
  const separator = present.length === 0 ? "" : ",";
  return `${text.slice(0, end).trimEnd()}${separator}${jsonOf(network)}${text.slice(end)}`;
}

/**
 * The annotation without one network; undefined when it doesn't ask for it. An
 * interface's name chooses among several; INVALID_REQUEST without one.
 */
export function removeNetwork(
  annotation: string | undefined,
  network: NetworkName,
  podNamespace: string,
): string | undefined {
  const text = annotation ?? "";
  const present = validSelections(text);
  const isMeant = (selection: NetworkSelection): boolean =>
    isSameNetwork(selection, network, podNamespace) &&
    (network.interface === undefined || selection.interface === network.interface);
  const meant = present.filter(isMeant);
  if (meant.length === 0) return undefined;
  if (meant.length > 1) {
    throw new PodplugError(
      "INVALID_REQUEST",
      `the annotation asks for ${textOf(network)} ${meant.length} times: say which by its interface (${network.name}@INTERFACE)`,
    );
  }
  const index = present.findIndex(isMeant);
  if (!isJsonForm(text)) {
    return text
      .split(",")
      .filter((_part, at) => at !== index)
      .join(",");
  }
  return withoutElement(text, index);
}

/** Cut out, not printed anew: whatever else stands there, and however, is its writer's. */
function withoutElement(list: string, index: number): string {
  const commas = topCommas(list);
  const starts = [list.indexOf("["), ...commas];
  const ends = [...commas, list.lastIndexOf("]")];
  const start = starts[index] ?? 0;
  const end = ends[index] ?? list.length;
  // The first leaves with the comma behind it, any other with the one before it.
  return index === 0
    ? list.slice(0, start + 1) + list.slice(commas.length > 0 ? end + 1 : end)
    : list.slice(0, start) + list.slice(end);
}

/** Where a JSON list has the commas between its elements. */
function topCommas(list: string): readonly number[] {
  const commas: number[] = [];
  let depth = 0;
  for (const { 0: token, index } of list.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},]/g)) {
    if (token === "[" || token === "{") depth += 1;
    else if (token === "]" || token === "}") depth -= 1;
    else if (token === "," && depth === 1) commas.push(index);
  }
  return commas;
}

function validSelections(text: string): readonly NetworkSelection[] {
  const { selections, faults } = readNetworks(text);
  if (faults.length === 0) return selections;
  throw new PodplugError(
    "INVALID_SELECTION",
    `the annotation can't be read, and was left as it is: ${faults.join("; ")}`,
  );
}

function isSameNetwork(selection: NetworkSelection, network: NetworkName, podNamespace: string): boolean {
  return (
    selection.name === network.name &&
    (selection.namespace ?? podNamespace) === (network.namespace ?? podNamespace)
  );
}

function isSame(selection: NetworkSelection, network: NetworkName, podNamespace: string): boolean {
  return isSameNetwork(selection, network, podNamespace) && selection.interface === network.interface;
}

function textOf({ namespace, name, interface: ifName }: NetworkName): string {
  return `${namespace === undefined ? "" : `${namespace}/`}${name}${ifName === undefined ? "" : `@${ifName}`}`;
}

function jsonOf({ name, namespace, interface: ifName }: NetworkName): string {
  return JSON.stringify({ name, namespace, interface: ifName });
}
