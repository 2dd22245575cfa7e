import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CacheEntry, cacheKind, decodeCacheEntry, encodeCacheEntry } from "../../src/cni/cache.ts";
import { outcomeOf } from "./runtime.ts";

const config = '{"name":"blue","plugins":[{"type":"brücke"}]}';
const entry: CacheEntry = {
  kind: cacheKind,
  containerId: "sandbox-1",
  config,
  ifName: "net1",
  networkName: "blue",
  netnsPath: "/run/netns/a",
  cniArgs: [["K8S_POD_NAME", "web"]],
  capabilityArgs: { ips: ["10.0.0.5/24"] },
  result: { cniVersion: "1.0.0", ips: [{ address: "10.0.0.5/24" }] },
};

/** As libcni 1.3.0 writes it. */
const written = {
  kind: "cniCacheV1",
  containerId: "sandbox-1",
  config: Buffer.from(config).toString("base64"),
  ifName: "net1",
  networkName: "blue",
  netns: "/run/netns/a",
  cniArgs: [["K8S_POD_NAME", "web"]],
  capabilityArgs: { ips: ["10.0.0.5/24"] },
  result: { cniVersion: "1.0.0", ips: [{ address: "10.0.0.5/24" }] },
};

test("an entry is written as libcni writes it, key by key", () => {
  expect(JSON.stringify(encodeCacheEntry(entry))).toBe(JSON.stringify(written));
});

test("what is empty is left out, as libcni does", () => {
  const intent = {
    ...entry,
    kind: "podplugIntentV1",
    netnsPath: undefined,
    cniArgs: [],
    capabilityArgs: {},
    result: undefined,
  };
  expect(Object.keys(encodeCacheEntry(intent))).toEqual([
    "kind",
    "containerId",
    "config",
    "ifName",
    "networkName",
  ]);
  expect(decodeCacheEntry(JSON.stringify(encodeCacheEntry(intent)))).toEqual({ entry: intent, extra: {} });
});

test("other readers' keys stand beside and come back, and never take the place of libcni's own", () => {
  const extra = { podplug: { version: 1, nested: { a: [1] } }, "x-other": null };
  const encoded = encodeCacheEntry(entry, { ...extra, kind: "stolen" });
  expect(encoded).toMatchObject({ kind: cacheKind, ...extra });
  expect(decodeCacheEntry(JSON.stringify(encoded))).toEqual({ entry, extra });
});

test("Go's nulls read as empty", () => {
  const nulls = { ...written, netns: "", cniArgs: null, capabilityArgs: null, result: null };
  expect(decodeCacheEntry(JSON.stringify(nulls)).entry).toMatchObject({
    netnsPath: undefined,
    cniArgs: [],
    capabilityArgs: {},
    result: undefined,
  });
});

describe("damage", () => {
  test.each([
    ["", "JSON"],
    ["{", "JSON"],
    ["[]", "object"],
    [{ ...written, kind: undefined }, "kind"],
    [{ ...written, containerId: 7 }, "containerId"],
    [{ ...written, config: "not base64!" }, "config"],
    [{ ...written, config: undefined }, "config"],
    [{ ...written, ifName: "" }, "ifName"],
    [{ ...written, netns: 1 }, "netns"],
    [{ ...written, cniArgs: {} }, "cniArgs"],
    [{ ...written, cniArgs: [["one"]] }, "cniArgs"],
    [{ ...written, cniArgs: [["one", 2]] }, "cniArgs"],
    [{ ...written, capabilityArgs: [] }, "capabilityArgs"],
    [{ ...written, result: "x" }, "result"],
  ])("%j is named by its key: %s", (value, key) => {
    const text = typeof value === "string" ? value : JSON.stringify(value);
    expect(() => decodeCacheEntry(text)).toThrow(expect.objectContaining({ reason: "JOURNAL_FAILED" }));
    expect(() => decodeCacheEntry(text)).toThrow(key);
  });

  test("of any kind is a PodplugError", () => {
    const almost = fc.record(Object.fromEntries(Object.keys(written).map((key) => [key, fc.jsonValue()])), {
      requiredKeys: [],
    });
    const bounds = { numRuns: 1500 };
    fc.assert(
      fc.property(
        fc.oneof(
          almost.map((rest) => JSON.stringify({ ...written, ...rest })),
          fc.json(),
        ),
        (text) => {
          // Anything else that is thrown comes through here.
          expect(outcomeOf(() => decodeCacheEntry(text))).toBeDefined();
        },
      ),
      bounds,
    );
  });
});
