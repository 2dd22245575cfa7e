import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { kaloomAnnotation } from "../../src/controller/annotations/kaloom.ts";
import { npwgAnnotation } from "../../src/controller/annotations/npwg.ts";

const read = (text: string | undefined) => npwgAnnotation.read(text, "demo");
const json = (...elements: readonly unknown[]) => read(JSON.stringify(elements));

function selectionsOf(wanted: ReturnType<typeof read>) {
  if (wanted.kind === "invalid") throw new Error(wanted.fault);
  return wanted.selections;
}

function faultOf(wanted: ReturnType<typeof read>): string {
  return wanted.kind === "invalid" ? wanted.fault : "";
}

describe("the networks annotation of the standard", () => {
  test("is an empty list when it is absent or empty", () => {
    for (const text of [undefined, "", "  \n", "[]"]) {
      expect(read(text)).toEqual({ kind: "valid", selections: [], refused: [] });
    }
  });

  test("names networks with commas, with namespaces and interfaces", () => {
    expect(selectionsOf(read(" blue , infra/red@ens4,green@net1 "))).toEqual([
      { network: "demo/blue", key: "demo/blue#1", selection: { name: "blue" } },
      {
        network: "infra/red",
        key: "infra/red#1",
        selection: { name: "red", namespace: "infra", interface: "ens4" },
      },
      { network: "demo/green", key: "demo/green#1", selection: { name: "green", interface: "net1" } },
    ]);
  });

  test.each([
    "blue,",
    "a/b/c",
    "blue@a@b",
    "Blue",
    "/blue",
    "blue@",
    "blue@bad name",
    "blue@0123456789abcdef",
    "-blue",
  ])("is invalid as %j", (text) => {
    expect(faultOf(read(text))).toContain("isn't of the form");
  });

  test("takes every key of the standard's list, and Multus' device", () => {
    const [wanted] = selectionsOf(
      json({
        name: "blue",
        namespace: "demo",
        interface: "net7",
        ips: ["10.1.1.9/24", "2001:db8::9"],
        mac: "02:AA:BB:00:00:01",
        "cni-args": { vlan: 5 },
        portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "UDP", hostIP: "192.0.2.1" }],
        bandwidth: { ingressRate: 1000, ingressBurst: 2000 },
        "default-route": ["10.1.1.1"],
        "infiniband-guid": "C2:11:22:33:44:55:66:77",
        deviceID: "0000:03:02.0",
        "example.com/private": { anything: true },
      }),
    );
    expect(wanted?.selection).toEqual({
      name: "blue",
      interface: "net7",
      ips: ["10.1.1.9/24", "2001:db8::9"],
      mac: "02:aa:bb:00:00:01",
      cniArgs: { vlan: 5 },
      portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "udp", hostIp: "192.0.2.1" }],
      bandwidth: { ingressRate: 1000, ingressBurst: 2000 },
      defaultRoute: { gateways: ["10.1.1.1"] },
      infinibandGuid: "c2:11:22:33:44:55:66:77",
      deviceId: "0000:03:02.0",
    });
  });

  test("takes a default route without gateways, and null for an absent key", () => {
    const [wanted] = selectionsOf(json({ name: "blue", "default-route": [], "cni-args": null, mac: null }));
    expect(wanted?.selection).toEqual({ name: "blue", defaultRoute: { gateways: [] } });
  });

  test("counts the occurrences of a network", () => {
    const keys = selectionsOf(read("blue,demo/blue@net5,red,blue")).map(({ key }) => key);
    expect(keys).toEqual(["demo/blue#1", "demo/blue#2", "demo/red#1", "demo/blue#3"]);
  });

  test("refuses a selection whose interface an earlier one names, and that alone", () => {
    const wanted = read("blue@net1,red@net1,green@net2");
    expect(selectionsOf(wanted).map(({ network }) => network)).toEqual(["demo/blue", "demo/green"]);
    expect(wanted).toMatchObject({ refused: [{ network: "demo/red" }] });
  });

  test.each([
    ["ips", { ips: ["10.1.1.300"] }],
    ["mac", { mac: "no" }],
    ["interface", { interface: "much-too-long-a-name" }],
    ["bandwidth", { bandwidth: { ingressBurst: 5 } }],
    ["portMappings", { portMappings: [{ hostPort: 0, containerPort: 80 }] }],
    ["infiniband-guid", { "infiniband-guid": "02:00" }],
    ["ipam-claim-reference", { ips: ["10.1.1.1"], "ipam-claim-reference": "claim" }],
    ["default-route", { "default-route": ["gateway"] }],
    ["cni-args", { "cni-args": JSON.parse("[".repeat(40) + "]".repeat(40)) as unknown }],
    ["name", { name: 7 }],
  ])("is invalid as a whole, with the place of the fault, for a bad %s", (key, change) => {
    const wanted = json({ name: "red" }, { name: "blue", ...change });
    expect(faultOf(wanted)).toContain("[1]");
    expect(faultOf(wanted)).toContain(key);
  });

  test("tells every fault at once", () => {
    const fault = faultOf(json({ name: "a", mac: "x" }, { name: "b", ips: ["y"] }));
    expect(fault).toMatch(/\[0\].*mac.*\[1\].*ips/);
  });

  test.each(['{"name":"blue"}', "[", '["blue"]', "[null]", '"blue"', "[[]]"])("is invalid as %s", (text) => {
    expect(read(text).kind).toBe("invalid");
  });

  test("gives the default route to one network only", () => {
    const route = { "default-route": ["10.1.1.1"] };
    expect(faultOf(json({ name: "a", ...route }, { name: "b", ...route }))).toContain("default route");
  });

  test("never throws, and answers only what is valid", () => {
    const element = fc.record(
      {
        name: fc.oneof(fc.constantFrom("blue", "red"), fc.string()),
        namespace: fc.oneof(fc.constant("demo"), fc.string(), fc.constant(null)),
        interface: fc.oneof(fc.constantFrom("net1", "net2"), fc.string()),
        ips: fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string())),
        mac: fc.string(),
        "cni-args": fc.jsonValue(),
        bandwidth: fc.jsonValue(),
        portMappings: fc.jsonValue(),
      },
      { requiredKeys: [] },
    );
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.array(element).map((elements) => JSON.stringify(elements)),
      fc.array(fc.stringMatching(/^[a-z/@ ,]{0,9}$/)).map((parts) => parts.join(",")),
    );
    fc.assert(
      fc.property(text, (annotation) => {
        for (const reader of [npwgAnnotation, kaloomAnnotation]) {
          const wanted = reader.read(annotation, "demo");
          if (wanted.kind === "invalid") {
            expect(wanted.fault).not.toBe("");
            continue;
          }
          const keys = wanted.selections.map(({ key }) => key);
          expect(new Set(keys).size).toBe(keys.length);
          const names = wanted.selections.flatMap(({ selection }) => selection.interface ?? []);
          expect(new Set(names).size).toBe(names.length);
        }
      }),
      { numRuns: 500, seed: 20 },
    );
  });

  test("is invalid when it names more networks than any pod has", () => {
    expect(faultOf(read(Array(100_000).fill("a").join(",")))).toContain("100000 networks");
  });

  test("takes a long line of blanks in its stride", () => {
    expect(read(`a${" ".repeat(200_000)}b`).kind).toBe("invalid");
  });
});

describe("Kaloom's networks annotation", () => {
  test("names each network's interface by its MD5", () => {
    const text = JSON.stringify([
      { name: "green", ifMac: "02:00:00:00:00:0A" },
      { name: "data", namespace: "demo", upperLayers: ["green"] },
    ]);
    expect(kaloomAnnotation.read(text, "demo")).toEqual({
      kind: "valid",
      refused: [],
      selections: [
        {
          network: "default/green",
          key: "default/green#1",
          selection: {
            name: "green",
            namespace: "default",
            interface: "net9f27410725ab",
            mac: "02:00:00:00:00:0a",
            source: "kaloom",
          },
        },
        {
          network: "default/data",
          key: "default/data#1",
          selection: { name: "data", namespace: "default", interface: "net8d777f385d3d", source: "kaloom" },
        },
      ],
    });
  });

  test("leaves the pod's primary network, and what podagent skips, to others", () => {
    const text = JSON.stringify([
      { name: "a", isPrimary: true },
      { name: "b", podagentSkip: true },
      { name: "c", isPrimary: false },
    ]);
    const wanted = kaloomAnnotation.read(text, "demo");
    expect(wanted).toMatchObject({ selections: [{ network: "default/c" }] });
  });

  test.each(["blue", '{"name":"a"}', '[{"ifMac":"02:00:00:00:00:01"}]', '[{"name":"a","ifMac":"x"}]'])(
    "is invalid as %s",
    (text) => {
      expect(kaloomAnnotation.read(text, "demo").kind).toBe("invalid");
    },
  );
});
