import { describe, expect, test } from "vitest";
import { npwgAnnotation } from "../../src/controller/annotations/npwg.ts";
import { stepsBetween } from "../../src/controller/desired.ts";
import type { Step, StepsInput } from "../../src/controller/steps.ts";
import { attached, bareLink } from "./pod-interfaces.ts";

const eth0 = bareLink("eth0");

function steps(networks: string, input: Partial<StepsInput>): readonly Step[] {
  const wanted = npwgAnnotation.read(networks, "default");
  if (wanted.kind === "invalid") throw new Error(wanted.fault);
  return stepsBetween({
    owner: "annotation/npwg",
    namesTell: false,
    podNamespace: "default",
    wanted: wanted.selections,
    interfaces: [eth0],
    status: [],
    isKubeVirt: false,
    heals: true,
    ifNaming: "npwg",
    ...input,
  });
}

/** `+ net1 default/blue`, `- net1`, `~ net1 default/red` for a change in place, `= net1 default/blue` for an adoption. */
const told = (list: readonly Step[]): readonly string[] =>
  list.map((step) => {
    if (step.kind === "detach") return `- ${step.attachment.name}`;
    const sign = step.kind === "adopt" ? "=" : step.replace ? "~" : "+";
    return `${sign} ${step.selection.interface ?? "?"} ${step.network}`;
  });

const net1 = attached("net1");
const unnamed = attached("net1", { selection: { name: "blue" } });
const drift = (name: string, index: number) =>
  ({
    name,
    index,
    state: "failed",
    failure: { reason: "CHECK_FAILED", message: "drifted", retryable: true },
  }) as const;

describe("steps", () => {
  test("are none where all is as wanted", () => {
    expect(steps("blue@net1", { interfaces: [eth0, net1] })).toEqual([]);
    expect(steps("default/blue@net1", { interfaces: [eth0, net1] })).toEqual([]);
  });

  test("add in the annotation's order, then remove", () => {
    const interfaces = [eth0, net1];
    expect(told(steps("red@b,green@a,infra/red", { interfaces }))).toEqual([
      "+ b default/red",
      "+ a default/green",
      "+ ? infra/red",
      "- net1",
    ]);
  });

  test("remove first what holds an address or hardware address that an add wants", () => {
    const held = attached("net1", {
      selection: { name: "blue", interface: "net1", ips: ["10.1.1.5/24"], mac: "02:00:00:00:00:aa" },
    });
    const add = (change: object) => JSON.stringify([{ name: "blue", interface: "x", ...change }]);
    for (const change of [{ ips: ["10.1.1.5"] }, { mac: "02:00:00:00:00:AA" }]) {
      expect(told(steps(add(change), { interfaces: [eth0, held] }))).toEqual(["- net1", "+ x default/blue"]);
    }
    expect(told(steps(add({}), { interfaces: [eth0, held] }))).toEqual(["+ x default/blue", "- net1"]);
  });

  test("remove first what holds an address also when it is written otherwise", () => {
    const selection = { name: "blue", interface: "net1", ips: ["2001:db8:0:0::5/64"] };
    const held = attached("net1", { selection });
    const add = JSON.stringify([{ name: "blue", interface: "x", ips: ["2001:DB8::5/64"] }]);
    expect(told(steps(add, { interfaces: [eth0, held] }))).toEqual(["- net1", "+ x default/blue"]);
    const kernel = attached("net1", { ips: ["2001:db8::5/64"] });
    const other = add.replace("2001:DB8::5", "2001:0db8:0::0005");
    expect(told(steps(other, { interfaces: [eth0, kernel] }))).toEqual(["- net1", "+ x default/blue"]);
  });

  test("are none when an address is only written otherwise, but its prefix counts", () => {
    const selection = { name: "blue", interface: "net1", ips: ["2001:db8:0:0::5/64", "10.1.1.5"] };
    const own = attached("net1", { selection });
    const asked = (prefix: number): string =>
      JSON.stringify([{ name: "blue", interface: "net1", ips: [`2001:db8::5/${prefix}`, "10.1.1.5"] }]);
    expect(steps(asked(64), { interfaces: [eth0, own] })).toEqual([]);
    expect(told(steps(asked(48), { interfaces: [eth0, own] }))).toEqual(["~ net1 default/blue"]);
  });

  test("change in place what differs under the same name", () => {
    expect(told(steps("red@net1", { interfaces: [eth0, net1] }))).toEqual(["~ net1 default/red"]);
  });

  test("are none when a name is written down that was chosen, or crossed out that was given", () => {
    expect(steps("blue@net1", { interfaces: [eth0, unnamed] })).toEqual([]);
    expect(steps("blue", { interfaces: [eth0, net1] })).toEqual([]);
  });

  test("give a name to who asks for it, and who had it by chance another", () => {
    expect(told(steps("blue,red@net1", { interfaces: [eth0, unnamed] }))).toEqual([
      "+ ? default/blue",
      "~ net1 default/red",
    ]);
  });

  test("leave a name alone that a later selection is still to get", () => {
    expect(told(steps("blue,red@net1", {}))).toEqual(["+ net2 default/blue", "+ net1 default/red"]);
    const [first] = told(steps("blue,red@net1", { ifNaming: "hash" }));
    expect(first).toMatch(/^\+ net[0-9a-f]{12} default\/blue$/);
  });

  test("never touch another owner's", () => {
    const theirs = attached("net1", { owner: "orchestrator" });
    expect(steps("", { interfaces: [eth0, theirs] })).toEqual([]);
    expect(told(steps("blue@net1", { interfaces: [eth0, theirs] }))).toEqual(["+ net1 default/blue"]);
  });

  test("try again what failed, and remove what failed and isn't wanted any more", () => {
    const failed = attached("net1", { state: "failed", attachedAt: undefined, cniResult: undefined });
    expect(told(steps("blue@net1", { interfaces: [eth0, failed] }))).toEqual(["~ net1 default/blue"]);
    expect(told(steps("", { interfaces: [eth0, failed] }))).toEqual(["- net1"]);
  });

  test("make a lost link again under its name, but leave a renamed one", () => {
    const lost = { ...unnamed, ...drift("net1", 0) };
    expect(told(steps("blue", { interfaces: [eth0, lost] }))).toEqual(["- net1", "+ net1 default/blue"]);
    expect(steps("blue", { interfaces: [eth0, lost], heals: false })).toEqual([]);
    expect(steps("blue", { interfaces: [eth0, lost], isKubeVirt: true })).toEqual([]);
    expect(steps("blue@net1", { interfaces: [eth0, { ...net1, ...drift("other", 7) }] })).toEqual([]);
  });

  test("leave alone what a plugin's CHECK finds fault with, also where ADD made no link", () => {
    const { failure, ...rest } = drift("net1", 0);
    const checked = { ...net1, ...rest, failure: { ...failure, plugin: "host-device" } };
    expect(steps("blue@net1", { interfaces: [eth0, checked] })).toEqual([]);
  });

  test("take no link of ours for one that the pod was created with", () => {
    const cniResult = {
      cniVersion: "1.0.0",
      interfaces: [
        { name: "net1", sandbox: "/run/netns/a" },
        { name: "net1b", sandbox: "/run/netns/a" },
      ],
    };
    const two = attached("net1", { selection: { name: "blue" }, cniResult });
    const status = ["net1", "net1b"].map((name) => ({ name: "default/blue", interface: name, dns: {} }));
    expect(steps("blue", { interfaces: [eth0, two, bareLink("net1b")], status })).toEqual([]);
    // KubeVirt renames our link and puts a dummy under its name.
    const renamed = { ...two, ...drift("5a8e-nic", 7) };
    const interfaces = [eth0, bareLink("net1"), renamed, bareLink("net1b")];
    expect(steps("blue@net1", { interfaces, status, isKubeVirt: true })).toEqual([]);
    expect(steps("blue", { interfaces, status, isKubeVirt: true })).toEqual([]);
  });

  test("adopt what the pod was created with, by its name or its network, and only what is asked for", () => {
    const status = [
      { name: "cluster", interface: "eth0", default: true },
      { name: "default/blue", interface: "net1", ips: ["10.1.1.5"], mac: "02:00:00:00:00:AA" },
      { name: "default/red", interface: "ens4" },
      { name: "default/green", interface: "net3" },
    ];
    const interfaces = [eth0, bareLink("net1"), bareLink("ens4"), bareLink("net3")];
    expect(told(steps("blue,red@ens4", { status, interfaces }))).toEqual([
      "= net1 default/blue",
      "= ens4 default/red",
    ]);
    const asCreated = JSON.stringify([{ name: "blue", ips: ["10.1.1.5/24"], mac: "02:00:00:00:00:aa" }]);
    expect(told(steps(asCreated, { status, interfaces }))).toEqual(["= net1 default/blue"]);
    expect(told(steps("", { status, interfaces }))).toEqual([]);
  });

  test("adopt as it is what has its address written otherwise", () => {
    const status = [{ name: "default/blue", interface: "net1", ips: ["2001:db8::5"] }];
    const asked = JSON.stringify([{ name: "blue", interface: "net1", ips: ["2001:db8:0:0::5/64"] }]);
    expect(told(steps(asked, { status, interfaces: [eth0, bareLink("net1")] }))).toEqual([
      "= net1 default/blue",
    ]);
  });

  test("adopt and then change what the annotation asked for otherwise at the pod's creation", () => {
    const status = [{ name: "default/blue", interface: "net1", ips: ["10.1.1.5"] }];
    const changed = JSON.stringify([{ name: "blue", interface: "net1", ips: ["10.1.1.6/24"] }]);
    const [adopt, change] = steps(changed, { status, interfaces: [eth0, bareLink("net1")] });
    expect(adopt).toMatchObject({ kind: "adopt", selection: { name: "blue", interface: "net1" } });
    expect(adopt).not.toHaveProperty("selection.ips");
    expect(change).toMatchObject({ kind: "attach", replace: true, selection: { ips: ["10.1.1.6/24"] } });
  });

  test("are none for what was adopted, and a removal once it isn't asked for any more", () => {
    const adopted = attached("net1", { origin: "pod" });
    expect(steps("blue", { interfaces: [eth0, adopted] })).toEqual([]);
    expect(told(steps("", { interfaces: [eth0, adopted] }))).toEqual(["- net1"]);
  });

  test("count a cold-plugged device without a link as there", () => {
    const status = [{ name: "default/vf", interface: "net1", "device-info": { type: "vhost-user" } }];
    expect(steps("vf", { status })).toEqual([]);
    expect(steps("vf@net1", { status })).toEqual([]);
    expect(told(steps("vf@net2", { status }))).toEqual(["+ net2 default/vf"]);
  });

  test("use no remembered name that is taken, or that no link can have", () => {
    for (const name of ["net5", "lo", "much-too-long-a-name", "a b"]) {
      const status = [{ name: "default/blue", interface: name }];
      expect(told(steps("red@net5,blue", { status }))).toEqual(["+ net5 default/red", "+ net1 default/blue"]);
    }
  });
});
