import type { Intent, IntentNetwork } from "./intent.ts";

/** Podplug's own plugin that makes uplinks, by its type. */
export const uplinkPlugin = "podplug-uplink";

export type Uplink =
  | {
      readonly kind: "possible";
      /** As the plugin podplug-uplink takes it. */
      readonly text: string;
      /** So much of it as is this host's own: the rest may change under a pod's interface. */
      readonly own: string;
      /** The bridge that it makes. */
      readonly bridge: string;
      /** What a packet may have inside; the bridge's own choice when absent. */
      readonly mtu?: number | undefined;
    }
  | { readonly kind: "impossible"; readonly why: string };

/** A usual Ethernet's 1500 less the VXLAN's headers: any underlay carries these whole. */
const vxlanMtu = 1450;

/** How a network leaves the host: to which other ones by VXLAN, or by which interface as a VLAN. */
export function uplinkOf({ kind, tag }: IntentNetwork, { hosts }: Intent, hostName: string): Uplink {
  const host = hosts.find(({ name }) => name === hostName);
  if (!host) {
    const why = `this node's name there, ${hostName}, isn't among the intent's Hosts (contiv.hostLabel sets it)`;
    return { kind: "impossible", why };
  }
  switch (kind) {
    case "vxlan": {
      if (!host.vtepIp) return { kind: "impossible", why: `host ${hostName} has no VtepIP in the intent` };
      const remotes = hosts.flatMap(({ name, vtepIp }) => (vtepIp && name !== hostName ? vtepIp : []));
      const own = `${kind} ${tag} ${host.vtepIp}`;
      const text = remotes.length > 0 ? `${own} ${remotes.toSorted().join()}` : own;
      return { kind: "possible", text, own, bridge: `ppvx${tag}`, mtu: vxlanMtu };
    }
    case "vlan": {
      if (!host.uplink) return { kind: "impossible", why: `host ${hostName} has no Intf in the intent` };
      const own = `${kind} ${tag} ${host.uplink}`;
      return { kind: "possible", text: own, own, bridge: `ppvl${tag}` };
    }
  }
}
