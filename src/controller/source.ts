import type { Pod, PodKey } from "../domain/pod.ts";
import type { AnnotationReader } from "./annotations/contract.ts";
import type { Wanted } from "./wanted.ts";

/** What is asked for one pod. */
export type Asked =
  | Wanted
  /** It can't be told now, and nothing changes; `fault` is for the pod's users, absent when it is none of their affair. */
  | { readonly kind: "undecided"; readonly fault?: string | undefined };

/** Where it stands what a pod is to have. */
export interface SelectionSource {
  /** For messages: `annotation networks`. */
  readonly name: string;
  /** Who owns the attachments that it asks for. */
  readonly owner: string;
  /** Everybody who plugs what stands there names interfaces alike: a link's name tells what it is, where nothing else does. */
  readonly namesTell: boolean;
  /** Never throws. */
  read(pod: Pod): Asked;
  /** A text that differs when what is asked for may. */
  wishOf(pod: Pod): string;
  /** Other pods whose wishes may change when this one comes, changes or goes. */
  readonly concerns?: ((key: PodKey) => readonly PodKey[]) | undefined;
  /** Tells when pods may be asked for something else although none of them changed. */
  readonly changes?: ((signal: AbortSignal) => AsyncIterable<unknown>) | undefined;
}

export function annotationSource(reader: AnnotationReader): SelectionSource {
  const textOf = (pod: Pod): string | undefined => pod.annotations[reader.annotation];
  return {
    name: `annotation ${reader.annotation}`,
    owner: reader.owner,
    namesTell: reader.namesTell,
    read: (pod) => reader.read(textOf(pod), pod.namespace),
    wishOf: (pod) => textOf(pod) ?? "",
  };
}

/** What of it is of no effect, for the pod's users. */
export function refusalsOf(name: string, asked: Asked): readonly string[] {
  switch (asked.kind) {
    case "invalid":
      return [`${name} is invalid and changes nothing: ${asked.fault}`];
    case "undecided":
      return asked.fault === undefined ? [] : [`${name} changes nothing: ${asked.fault}`];
    case "valid":
      return asked.refused.map(({ network, fault }) => `network ${network} is refused: ${fault}`);
  }
}
