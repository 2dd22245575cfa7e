import type { SegmentKind } from "./tags.ts";

/**
 * Contiv's intent with everything filled in that contiv's master would have
 * handed out. It follows from the file alone, so that every node that has the
 * same file has the same tags, subnets and addresses.
 */
export interface Intent {
  readonly hosts: readonly IntentHost[];
  readonly networks: readonly IntentNetwork[];
}

export interface IntentHost {
  readonly name: string;
  /** The address that VXLAN packets for it are sent to. */
  readonly vtepIp?: string | undefined;
  /** The interface that VLAN packets leave it by. */
  readonly uplink?: string | undefined;
}

export interface IntentNetwork {
  readonly tenant: string;
  readonly name: string;
  readonly kind: SegmentKind;
  readonly tag: number;
  /** `11.1.0.0/24` */
  readonly subnet: string;
  readonly gateway?: string | undefined;
  readonly endpoints: readonly IntentEndpoint[];
}

export interface IntentEndpoint {
  /** The pod's name. */
  readonly container: string;
  /** Where that pod is meant to be; anywhere when absent. */
  readonly host?: string | undefined;
  /** With the subnet's prefix length. */
  readonly address: string;
}

export type ReadIntent =
  | { readonly kind: "valid"; readonly intent: Intent }
  | {
      readonly kind: "invalid";
      /** Each with the path of its key, `Tenants[0].SubnetPool: …`. */
      readonly faults: readonly string[];
      /** All that is written in it, the containers' names among it; absent when it can't even be read. */
      readonly words?: ReadonlySet<string>;
    };
