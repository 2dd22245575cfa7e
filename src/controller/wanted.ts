import type { NetworkSelection } from "../domain/selection.ts";

/** One selection that is asked for, valid by itself. */
export interface WantedSelection {
  /** The network's whole name, `namespace/name`. */
  readonly network: string;
  /** The network and its occurrence among those, `namespace/name#1`. */
  readonly key: string;
  /** In its normal form; the namespace is absent where it is the pod's own. */
  readonly selection: NetworkSelection;
}

/** One selection that can't be honoured beside the others; those are. */
export interface RefusedSelection {
  readonly network: string;
  readonly fault: string;
}

/** What an annotation or an intent asks for. An invalid one asks for nothing, and takes nothing away. */
export type Wanted =
  | {
      readonly kind: "valid";
      /** In the annotation's order. */
      readonly selections: readonly WantedSelection[];
      readonly refused: readonly RefusedSelection[];
    }
  | { readonly kind: "invalid"; readonly fault: string };

export const wantsNothing: Wanted = { kind: "valid", selections: [], refused: [] };

/** No pod has that many interfaces; an annotation's size would allow a hundred thousand. */
const maxSelections = 256;

/**
 * Gives valid selections their keys, and refuses each that names an interface
 * which an earlier one names (NPWG standard v1.3, section 4.1.2.1.5).
 */
export function keyed(selections: readonly NetworkSelection[], podNamespace: string): Wanted {
  if (selections.length > maxSelections) {
    return { kind: "invalid", fault: `it names ${selections.length} networks, more than ${maxSelections}` };
  }
  const occurrences = new Map<string, number>();
  const names = new Set<string>();
  const wanted: WantedSelection[] = [];
  const refused: RefusedSelection[] = [];
  for (const { namespace = podNamespace, ...rest } of selections) {
    const network = `${namespace}/${rest.name}`;
    if (rest.interface !== undefined && names.has(rest.interface)) {
      refused.push({ network, fault: `interface ${rest.interface} is named twice` });
      continue;
    }
    if (rest.interface !== undefined) names.add(rest.interface);
    const occurrence = (occurrences.get(network) ?? 0) + 1;
    occurrences.set(network, occurrence);
    const selection = namespace === podNamespace ? rest : { ...rest, namespace };
    wanted.push({ network, key: `${network}#${occurrence}`, selection });
  }
  return { kind: "valid", selections: wanted, refused };
}
