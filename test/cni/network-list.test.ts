import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { printNetworkList, readNetworkList } from "../../src/cni/network-list.ts";
import { cniVersions } from "../../src/cni/versions.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { outcomeOf } from "./runtime.ts";

const source = "network demo/blue";
const read = (config: unknown, defaultName?: string) =>
  readNetworkList(typeof config === "string" ? config : JSON.stringify(config), { source, defaultName });
const list = (rest: object = {}) => ({
  cniVersion: "1.0.0",
  name: "blue",
  plugins: [{ type: "bridge" }],
  ...rest,
});

function faultOf(config: unknown): PodplugError {
  const outcome = outcomeOf(() => read(config));
  if (outcome instanceof PodplugError) return outcome;
  throw new Error("it was read");
}

describe("a list", () => {
  test("is read with its plugins in order", () => {
    const plugins = [
      { type: "bridge", capabilities: { ips: true, mac: false } },
      { type: "tuning", sysctl: { a: "b" } },
    ];
    const network = read(list({ plugins, disableCheck: true }));
    expect(network).toMatchObject({
      name: "blue",
      cniVersion: "1.0.0",
      disableCheck: true,
      disableGC: false,
    });
    expect(network.plugins.map(({ type }) => type)).toEqual(["bridge", "tuning"]);
    expect([...(network.plugins[0].capabilities ?? [])]).toEqual(["ips"]);
  });

  test("prints with every unknown key as it was written", () => {
    const text = `{"cniVersion":"1.0.0","name":"blue","plugins":[{"type":"bridge","n":12345678901234567890,
      "f":1e400,"deep":{"__proto__":{"a":[null,-0.5]},"constructor":1},"":"ü\\u0000\\ud800"}],"x-ours":{"y":null}}`;
    const printed = printNetworkList(read(text));
    expect(JSON.parse(printed)).toEqual(JSON.parse(text));
    expect(printed).toContain('"n":12345678901234567890');
    expect(printed).toContain('"f":1e400');
    expect(printed).toContain('"__proto__":{"a":[null,-0.5]}');
    expect(printNetworkList(read(printed))).toBe(printed);
  });

  test.each([
    [true, true],
    ["true", true],
    ["True", true],
    [false, false],
    ["false", false],
  ])("takes %j for a flag", (written, meant) => {
    expect(read(list({ disableCheck: written, disableGC: written }))).toMatchObject({
      disableCheck: meant,
      disableGC: meant,
    });
  });

  test("takes its name from its definition when it has none", () => {
    expect(read(list({ name: undefined }), "green").name).toBe("green");
    expect(read(list({ name: "" }), "green").name).toBe("green");
    expect(read(list(), "green").name).toBe("blue");
    expect(JSON.parse(printNetworkList(read(list({ name: undefined }), "green")))).toHaveProperty(
      "name",
      "green",
    );
  });
});

describe("a single plugin's configuration", () => {
  test("becomes a list of one that holds it whole", () => {
    const single = { cniVersion: "0.3.1", name: "blue", type: "macvlan", master: "eth0", disableCheck: true };
    const network = read(single);
    expect(network).toMatchObject({ name: "blue", cniVersion: "0.3.1", disableCheck: true });
    expect(JSON.parse(printNetworkList(network))).toEqual({
      cniVersion: "0.3.1",
      name: "blue",
      disableCheck: true,
      plugins: [single],
    });
  });
});

describe("the version", () => {
  test.each([
    [{ cniVersion: "0.4.0" }, "0.4.0"],
    [{ cniVersion: undefined }, "0.1.0"],
    [{ cniVersion: "" }, "0.1.0"],
    [{ cniVersion: "1.0.0", cniVersions: ["0.4.0", "1.1.0"] }, "1.1.0"],
    [{ cniVersion: "1.0.0", cniVersions: ["0.4.0"] }, "1.0.0"],
    [{ cniVersion: undefined, cniVersions: ["0.3.1", "0.4.0"] }, "0.4.0"],
    [{ cniVersion: "1.0.0", cniVersions: ["1.2.0", "10.0.0"] }, "1.0.0"],
    [{ cniVersion: "9.0.0", cniVersions: ["1.0.0"] }, "1.0.0"],
    [{ cniVersion: "1.0.0", cniVersions: [] }, "1.0.0"],
  ])("of %j is %s, and the only one that is recorded", (versions, chosen) => {
    const network = read(list(versions));
    expect(network.cniVersion).toBe(chosen);
    const recorded = JSON.parse(printNetworkList(network));
    expect(recorded.cniVersion).toBe(chosen);
    expect(recorded).not.toHaveProperty("cniVersions");
  });

  test.each([
    { cniVersion: "1.2.0" },
    { cniVersion: "0.3.2" },
    { cniVersion: "2.0.0", cniVersions: ["1.9.0"] },
  ])("of %j is one that nobody here speaks", (versions) => {
    expect(faultOf(list(versions))).toMatchObject({
      reason: "VERSION_UNSUPPORTED",
      message: expect.stringContaining(versions.cniVersion),
    });
  });
});

describe("a fault is named by its key", () => {
  test.each([
    ["", "JSON"],
    ["{", "JSON"],
    ["[]", "object"],
    ["null", "object"],
    [list({ name: undefined }), "name: missing"],
    [list({ name: 7 }), "name: 7"],
    [list({ name: "a/b" }), "name:"],
    [list({ name: "../x" }), "name:"],
    [list({ cniVersion: 1 }), "cniVersion:"],
    [list({ cniVersion: "1.0" }), "cniVersion:"],
    [list({ cniVersion: "v1.0.0" }), "cniVersion:"],
    [list({ cniVersions: "1.0.0" }), "cniVersions:"],
    [list({ cniVersions: ["1.0.0", 4] }), "cniVersions[1]:"],
    [list({ disableCheck: "maybe" }), "disableCheck:"],
    [list({ disableGC: 1 }), "disableGC:"],
    [list({ loadOnlyInlinedPlugins: null }), "loadOnlyInlinedPlugins:"],
    [list({ plugins: undefined }), "plugins:"],
    [list({ plugins: undefined, loadOnlyInlinedPlugins: true }), "plugins: missing"],
    [list({ plugins: [] }), "plugins: the list is empty"],
    [list({ plugins: {} }), "plugins:"],
    [list({ plugins: [{ type: "a" }, 3] }), "plugins[1]:"],
    [list({ plugins: [{}] }), "plugins[0].type: missing"],
    [list({ plugins: [{ type: "" }] }), "plugins[0].type: missing"],
    [list({ plugins: [{ type: 7 }] }), "plugins[0].type:"],
    [list({ plugins: [{ type: "../../bin/sh" }] }), "plugins[0].type:"],
    [list({ plugins: [{ type: ".." }] }), "plugins[0].type:"],
    [list({ plugins: [{ type: "a\0b" }] }), "plugins[0].type:"],
    [list({ plugins: [{ type: "a", capabilities: ["ips"] }] }), "plugins[0].capabilities:"],
    [list({ plugins: [{ type: "a", capabilities: { ips: "yes" } }] }), "plugins[0].capabilities.ips:"],
    [list({ plugins: [{ type: "a", args: "x" }] }), "plugins[0].args:"],
    [list({ plugins: [{ type: "a", args: { cni: [] } }] }), "plugins[0].args.cni:"],
    ['{"name":"a","plugins":[{"type":"a","args":12345678901234567890}]}', "plugins[0].args:"],
  ])("%j: %s", (config, key) => {
    expect(faultOf(config)).toMatchObject({ reason: "INVALID_NETWORK" });
    expect(faultOf(config).message).toContain(key);
    expect(faultOf(config).message).toContain(source);
  });

  test("nesting without end is one too", () => {
    const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;
    expect(faultOf(nested(100_000))).toMatchObject({ reason: "INVALID_NETWORK" });
    expect(faultOf(`{"name":"a","x":${nested(300)}}`).message).toContain("200 levels");
  });

  test("all faults are reported together", () => {
    const { message } = faultOf({ plugins: 3, cniVersion: 1, disableGC: 2 });
    for (const key of ["name", "plugins", "cniVersion", "disableGC"]) expect(message).toContain(`${key}:`);
  });
});

/** Configurations that look like real ones, with wrong values here and there. */
const almostConfig = fc.record(
  {
    name: fc.oneof(fc.constant("blue"), fc.jsonValue()),
    cniVersion: fc.oneof(fc.constantFrom(...cniVersions), fc.jsonValue()),
    cniVersions: fc.oneof(fc.array(fc.constantFrom(...cniVersions)), fc.jsonValue()),
    disableCheck: fc.oneof(fc.boolean(), fc.jsonValue()),
    type: fc.oneof(fc.constant("bridge"), fc.jsonValue()),
    plugins: fc.oneof(
      fc.array(
        fc.record({
          type: fc.oneof(fc.string(), fc.jsonValue()),
          capabilities: fc.jsonValue(),
          args: fc.jsonValue(),
        }),
      ),
      fc.jsonValue(),
    ),
    other: fc.jsonValue(),
  },
  { requiredKeys: [] },
);

test("whatever is read prints as a list that reads the same, and all else is a PodplugError", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        almostConfig.map((config) => JSON.stringify(config)),
        fc.json(),
        fc.string(),
      ),
      (text) => {
        const outcome = outcomeOf(() => printNetworkList(read(text, "fallback")));
        if (outcome instanceof PodplugError) return;
        expect(printNetworkList(read(outcome))).toBe(outcome);
      },
    ),
    { numRuns: 1500 },
  );
});
