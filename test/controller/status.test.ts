import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { nextStatus, type StatusInput } from "../../src/controller/status.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { PodInterface } from "../../src/domain/node-api.ts";
import { attached, bareLink } from "./pod-interfaces.ts";

const coldPlugged = readFileSync(join(import.meta.dirname, "cold-plugged-status.txt"), "utf8");
const eth0 = bareLink("eth0", { ips: ["10.244.0.7/24", "fe80::1/64"], mac: "02:00:00:00:00:01" });
const coldLinks = [eth0, bareLink("net1"), bareLink("ens4")];

const net5 = attached("net5", {
  network: "default/red",
  mac: "02:00:00:00:00:05",
  mtu: 1450,
  cniResult: {
    cniVersion: "1.1.0",
    interfaces: [
      { name: "veth1", mac: "02:00:00:00:00:99" },
      { name: "net5", mac: "02:00:00:00:00:05", sandbox: "/run/netns/a" },
    ],
    ips: [
      { interface: 1, address: "10.9.0.2/24", gateway: "10.9.0.1" },
      { interface: 1, address: "2001:db8::2/64" },
    ],
    routes: [{ dst: "0.0.0.0/0", gw: "10.9.0.1" }, { dst: "10.8.0.0/16" }],
    dns: { nameservers: ["10.9.0.1"], search: [] },
  },
});

function next(input: Partial<StatusInput> & { readonly interfaces: readonly PodInterface[] }) {
  return nextStatus({
    text: undefined,
    isKubeVirt: false,
    defaultNetworkName: "cluster",
    own: new Set(),
    ...input,
  });
}

function entriesOf(answer: ReturnType<typeof next>): readonly JsonObject[] {
  if (answer.kind === "unchanged") throw new Error("nothing is written");
  return JSON.parse(answer.text) as JsonObject[];
}

const namesOf = (answer: ReturnType<typeof next>) => entriesOf(answer).map((entry) => entry["interface"]);

describe("network-status", () => {
  test("is written as the network-attachment-definition client prints it, with the pod's own network first", () => {
    const answer = next({ interfaces: [eth0, net5] });
    expect(answer).toEqual({
      kind: "write",
      text: `[{
    "name": "cluster",
    "interface": "eth0",
    "ips": [
        "10.244.0.7"
    ],
    "mac": "02:00:00:00:00:01",
    "mtu": 1500,
    "default": true,
    "dns": {}
},{
    "name": "default/red",
    "interface": "net5",
    "ips": [
        "10.9.0.2",
        "2001:db8::2"
    ],
    "mac": "02:00:00:00:00:05",
    "mtu": 1450,
    "dns": {
        "nameservers": [
            "10.9.0.1"
        ]
    },
    "gateway": [
        "10.9.0.1"
    ]
}]`,
    });
  });

  test("keeps what another writer wrote, in its order, and appends what is new", () => {
    const answer = next({ text: coldPlugged, interfaces: [...coldLinks, net5] });
    expect(namesOf(answer)).toEqual(["eth0", "net1", "ens4", "net5"]);
    expect(entriesOf(answer).slice(0, 3)).toEqual(JSON.parse(coldPlugged));
  });

  test("is unchanged when it says what there is, whatever its spaces", () => {
    const written = next({ text: coldPlugged, interfaces: [...coldLinks, net5] });
    const text = JSON.stringify(entriesOf(written));
    expect(next({ text, interfaces: [...coldLinks, net5] })).toEqual({ kind: "unchanged" });
  });

  test("keeps an adopted attachment's entry as the meta plugin wrote it, unless it is wrong or lost", () => {
    const cniResult = {
      cniVersion: "1.0.0",
      interfaces: [{ name: "net1", mac: "8a:1d:e6:28:31:e0", sandbox: "/run/netns/a" }],
      ips: [{ address: "10.251.0.2/22", gateway: "10.251.0.1", interface: 0 }],
    };
    const adopted = attached("net1", { origin: "pod", cniResult });
    const interfaces = [eth0, adopted, bareLink("ens4")];
    expect(next({ text: coldPlugged, interfaces })).toEqual({ kind: "unchanged" });
    const otherwise = { ...cniResult, ips: [{ address: "2001:db8:0:0::2/64", interface: 0 }] };
    const entry = { name: "default/blue", interface: "net1", ips: ["2001:db8::2"], mac: "8a:1d:e6:28:31:e0" };
    const written = { text: JSON.stringify([{ ...entry, dns: {} }]), defaultNetworkName: undefined };
    const readdressed = attached("net1", { origin: "pod", cniResult: otherwise });
    expect(next({ ...written, interfaces: [readdressed] })).toEqual({ kind: "unchanged" });
    const wrong = coldPlugged.replace("10.251.0.2", "10.251.0.9");
    expect(entriesOf(next({ text: wrong, interfaces }))[1]).toMatchObject({ ips: ["10.251.0.2"] });
    const lost = JSON.stringify((JSON.parse(coldPlugged) as object[]).filter((_, index) => index !== 1));
    expect(namesOf(next({ text: lost, interfaces }))).toEqual(["eth0", "ens4", "net1"]);
    expect(namesOf(next({ text: coldPlugged, interfaces: [eth0, net5, bareLink("ens4")] }))).toEqual([
      "eth0",
      "ens4",
      "net5",
    ]);
  });

  test("is left alone on a pod without attachments", () => {
    for (const text of [undefined, "", "[]", coldPlugged, "not JSON"]) {
      expect(next({ text, interfaces: coldLinks })).toEqual({ kind: "unchanged" });
    }
  });

  test("loses the entry of what was detached, and keeps the others", () => {
    const { text } = next({ text: coldPlugged, interfaces: [...coldLinks, net5] }) as { text: string };
    expect(namesOf(next({ text, interfaces: coldLinks }))).toEqual(["eth0", "net1", "ens4"]);
  });

  test("gets an entry only once ADD is complete, and loses it when DEL may have begun", () => {
    for (const state of ["attaching", "detaching", "failed"] as const) {
      expect(next({ interfaces: [eth0, { ...net5, state, attachedAt: undefined }] })).toEqual({
        kind: "unchanged",
      });
    }
  });

  test("puts an edited or doubled entry of ours right, in its place", () => {
    const text = JSON.stringify([
      { name: "cluster", interface: "eth0", default: true, dns: {} },
      { name: "x", interface: "net5", ips: ["1.2.3.4"] },
      { name: "other", interface: "ens4", dns: {} },
      { name: "y", interface: "net5" },
    ]);
    const answer = next({ text, interfaces: [...coldLinks, net5] });
    expect(namesOf(answer)).toEqual(["eth0", "net5", "ens4"]);
    expect(entriesOf(answer)[1]).toMatchObject({ name: "default/red", ips: ["10.9.0.2", "2001:db8::2"] });
  });

  test("is written anew when it can't be read, and says so", () => {
    for (const text of ["{", '{"name":"x"}', '["x"]', "null"]) {
      const answer = next({ text, interfaces: [eth0, net5] });
      expect(namesOf(answer)).toEqual(["eth0", "net5"]);
      expect(answer).toHaveProperty("fault", expect.any(String));
    }
  });

  test("has an entry for each sandbox interface of one result", () => {
    const two = attached("net5", {
      network: "default/red",
      cniResult: {
        cniVersion: "1.0.0",
        interfaces: [
          { name: "net5", mac: "02:00:00:00:00:05", sandbox: "/run/netns/a" },
          { name: "veth1", mac: "02:00:00:00:00:99" },
          { name: "net5b", mac: "02:00:00:00:00:06", sandbox: "/run/netns/a" },
        ],
        ips: [{ interface: 0, address: "10.9.0.2/24" }, { address: "10.9.1.2/24" }],
      },
    });
    expect(entriesOf(next({ interfaces: [two], defaultNetworkName: undefined }))).toMatchObject([
      { name: "default/red", interface: "net5", ips: ["10.9.0.2"], mac: "02:00:00:00:00:05" },
      { name: "default/red", interface: "net5b", ips: ["10.9.1.2"], mac: "02:00:00:00:00:06" },
    ]);
  });

  test("tells a device without a kernel interface by its address", () => {
    const vfio = attached("net5", {
      network: "default/vf",
      index: 0,
      mac: "",
      mtu: 0,
      deviceId: "0000:03:02.0",
      cniResult: { cniVersion: "1.0.0", interfaces: [] },
    });
    expect(entriesOf(next({ interfaces: [vfio], defaultNetworkName: undefined }))).toEqual([
      {
        name: "default/vf",
        interface: "net5",
        dns: {},
        "device-info": { type: "pci", version: "1.1.0", pci: { "pci-address": "0000:03:02.0" } },
      },
    ]);
  });

  test("keeps a device whose CHECK failed, and loses a link that vanished", () => {
    const failure = { reason: "CHECK_FAILED", message: "no interface net5", retryable: true };
    const gone: PodInterface = { ...net5, index: 0, state: "failed", failure };
    const text = JSON.stringify([{ name: "default/red", interface: "net5", dns: {} }]);
    const checked: PodInterface = { ...gone, failure: { ...failure, plugin: "host-device" } };
    expect(namesOf(next({ text, interfaces: [eth0, checked] }))).toEqual(["eth0", "net5"]);
    expect(namesOf(next({ text, interfaces: [eth0, gone] }))).toEqual([]);
  });

  test("keeps somebody else's device that has no link", () => {
    const device = { name: "default/vf", interface: "net9", dns: {}, "device-info": { type: "memif" } };
    const answer = next({ text: JSON.stringify([device]), interfaces: [eth0, net5] });
    expect(entriesOf(answer)).toContainEqual(device);
  });

  test("keeps the name that ADD gave when KubeVirt renamed the link", () => {
    const renamed: PodInterface = {
      ...net5,
      name: "5a8eec1ce1-nic",
      state: "failed",
      failure: { reason: "CHECK_FAILED", message: "renamed", retryable: true },
    };
    const answer = next({ interfaces: [renamed, bareLink("net5")], isKubeVirt: true });
    expect(namesOf(answer)).toEqual(["net5"]);
  });

  test("drops on KubeVirt's pods only what was ours, also when a dummy has its name", () => {
    const text = JSON.stringify([{ name: "default/x", interface: "net8", dns: {} }]);
    const input = { text, interfaces: [eth0], isKubeVirt: true };
    expect(next(input)).toEqual({ kind: "unchanged" });
    for (const interfaces of [[eth0], [eth0, bareLink("net8")]]) {
      expect(entriesOf(next({ ...input, interfaces, own: new Set(["net8"]) }))).toEqual([]);
      expect(next({ ...input, interfaces })).toEqual({ kind: "unchanged" });
    }
  });
});
