import type { PodInterface } from "../../src/domain/node-api.ts";

let lastId = 0;

/** A link of the pod's that is no attachment of podplug's. */
export function bareLink(name: string, change: Partial<PodInterface> = {}): PodInterface {
  return {
    pod: { namespace: "default", name: "web", uid: "uid-1" },
    sandboxId: "sandbox-1",
    netns: "/run/netns/a",
    name,
    mac: "02:00:00:00:00:77",
    ips: [],
    gateways: [],
    mtu: 1500,
    up: true,
    index: 2,
    network: "",
    origin: "pod",
    deviceId: "",
    attachmentId: "",
    owner: "",
    key: "",
    ...change,
  };
}

/** A whole attachment of the annotation's. */
export function attached(name: string, change: Partial<PodInterface> = {}): PodInterface {
  lastId += 1;
  return bareLink(name, {
    origin: "podplug",
    state: "attached",
    attachedAt: new Date(0),
    attachmentId: `id-${lastId}`,
    owner: "annotation/npwg",
    network: "default/blue",
    key: "default/blue#1",
    selection: { name: "blue", interface: name },
    ...change,
  });
}
