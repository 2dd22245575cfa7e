import type { PodInterface } from "../domain/node-api.ts";
import type { NetworkSelection } from "../domain/selection.ts";
import type { StatusEntry } from "./status-entries.ts";
import type { WantedSelection } from "./wanted.ts";

export interface StepsInput {
  /** Whose attachments these are to be; nobody else's are ever touched. */
  readonly owner: string;
  /** A link with a wanted one's name is what the cluster's meta plugin plugged, also when no status says so. */
  readonly namesTell: boolean;
  readonly podNamespace: string;
  /** In the annotation's order. */
  readonly wanted: readonly WantedSelection[];
  /** All that the node says is in the pod. */
  readonly interfaces: readonly PodInterface[];
  /** What network-status says: it knows what the pod was created with, and the names of an earlier sandbox. */
  readonly status: readonly StatusEntry[];
  /** How the node names what nobody names. */
  readonly ifNaming: "npwg" | "hash";
  /** On such pods nothing is healed, and no name is `netN`. */
  readonly isKubeVirt: boolean;
  /** Whether a link that vanished is made again. */
  readonly heals: boolean;
}

export type Step =
  | {
      readonly kind: "attach";
      readonly network: string;
      readonly selection: NetworkSelection;
      readonly key: string;
      /** The attachment of that name or key is ours, with other attributes. */
      readonly replace: boolean;
    }
  | {
      /** It was plugged at the pod's creation, and counts as ours from now on. */
      readonly kind: "adopt";
      readonly network: string;
      readonly selection: NetworkSelection;
      readonly key: string;
    }
  | {
      readonly kind: "detach";
      readonly attachment: PodInterface;
      /** lost: its link is gone, and it is attached again by the next step. */
      readonly why: "unwanted" | "lost";
    };
