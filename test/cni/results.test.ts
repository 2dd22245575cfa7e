import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { convertResult, readResult, toNewestResult } from "../../src/cni/results.ts";
import { type CniVersion, cniVersions } from "../../src/cni/versions.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { outcomeOf } from "./runtime.ts";

const dns = { nameservers: ["10.0.0.53"], search: ["example"] };

const oldForm = {
  cniVersion: "0.2.0",
  ip4: { ip: "10.0.0.5/24", gateway: "10.0.0.1", routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }] },
  ip6: { ip: "fd00::5/64", routes: [{ dst: "::/0" }] },
  dns,
};

const newForm = {
  cniVersion: "1.1.0",
  interfaces: [
    { name: "br0" },
    { name: "net1", mac: "02:00:00:00:00:05", sandbox: "/run/netns/a", mtu: 1400 },
  ],
  ips: [
    { address: "10.0.0.5/24", gateway: "10.0.0.1", interface: 1 },
    { address: "10.0.0.6/24", interface: 1 },
    { address: "fd00::5/64", interface: 1 },
  ],
  routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }, { dst: "::/0" }],
  dns,
};

describe("conversion", () => {
  test("the oldest form becomes the newest", () => {
    for (const cniVersion of ["0.1.0", "0.2.0"]) {
      expect(toNewestResult({ ...oldForm, cniVersion })).toEqual({
        cniVersion: "1.1.0",
        ips: [{ address: "10.0.0.5/24", gateway: "10.0.0.1" }, { address: "fd00::5/64" }],
        routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1" }, { dst: "::/0" }],
        dns,
      });
    }
  });

  test("0.3.0 to 0.4.0 say each address's family, 1.0.0 and newer don't", () => {
    for (const version of ["0.3.0", "0.3.1", "0.4.0"] as const) {
      const middle = convertResult(newForm, version);
      expect(middle).toEqual({
        ...newForm,
        cniVersion: version,
        ips: [
          { version: "4", ...newForm.ips[0] },
          { version: "4", ...newForm.ips[1] },
          { version: "6", ...newForm.ips[2] },
        ],
      });
      expect(convertResult(middle, "1.0.0")).toEqual({ ...newForm, cniVersion: "1.0.0" });
    }
  });

  test("the newest form becomes the oldest, with the first address of each family", () => {
    expect(convertResult(newForm, "0.2.0")).toEqual(oldForm);
    expect(convertResult(newForm, "0.1.0")).toEqual({ ...oldForm, cniVersion: "0.1.0" });
  });

  test("a result without addresses stays without", () => {
    expect(convertResult({ cniVersion: "1.0.0", interfaces: [{ name: "net1" }] }, "0.2.0")).toEqual({
      cniVersion: "0.2.0",
    });
    expect(toNewestResult({ cniVersion: "0.2.0" })).toEqual({ cniVersion: "1.1.0" });
  });

  test("a plugin's own keys survive", () => {
    const own = { cniVersion: "0.4.0", "x-vendor": { a: 1 }, interfaces: [{ name: "net1", "x-queue": 3 }] };
    expect(toNewestResult(own)).toEqual({ ...own, cniVersion: "1.1.0" });
  });

  test("nulls, which some plugins write for absent keys, are dropped in the newest form", () => {
    const nulls = { cniVersion: "1.0.0", interfaces: null, ips: null, routes: null, dns: null };
    expect(toNewestResult(nulls)).toEqual({ cniVersion: "1.1.0" });
    expect(toNewestResult({ cniVersion: "0.2.0", ip4: null, ip6: null })).toEqual({ cniVersion: "1.1.0" });
  });
});

describe("reading", () => {
  test.each(["{}", '{"cniVersion":""}'])("%s has the configuration's version", (text) => {
    expect(readResult(text, "0.3.1")).toEqual({ cniVersion: "0.3.1" });
  });

  test("a result's own version is kept", () => {
    expect(readResult('{"cniVersion":"0.4.0"}', "1.0.0")).toEqual({ cniVersion: "0.4.0" });
  });

  test.each([
    ["", "no result"],
    [" \n", "no result"],
    ["created", "JSON"],
    ["[]", "object"],
    ["null", "object"],
    ['{"cniVersion":"0.9.0"}', "cniVersion"],
    ['{"cniVersion":1}', "cniVersion"],
    ['{"interfaces":{}}', "interfaces"],
    ['{"interfaces":[3]}', "interfaces"],
    ['{"interfaces":[{"name":3}]}', "interfaces[0].name"],
    ['{"interfaces":[{"name":"a","mac":[]}]}', "interfaces[0].mac"],
    ['{"ips":[{}]}', "ips[0].address"],
    ['{"ips":[{"address":"10.0.0.1/33"}]}', "ips[0].address"],
    ['{"ips":[{"address":"10.0.0.1/24","gateway":"here"}]}', "ips[0].gateway"],
    ['{"ips":[{"address":"10.0.0.1/24","interface":"0"}]}', "ips[0].interface"],
    ['{"routes":[{"dst":"default"}]}', "routes[0].dst"],
    ['{"dns":"8.8.8.8"}', "dns"],
    ['{"cniVersion":"0.2.0","ip4":[]}', "ip4"],
    ['{"cniVersion":"0.2.0","ip4":{"ip":"10.0.0.1"}}', "ip4.ip"],
    ['{"cniVersion":"0.2.0","ip6":{"ip":"fd00::1/64","routes":[{"dst":1}]}}', "ip6.routes[0].dst"],
  ])("%j is bad output: %s", (text, key) => {
    expect(() => readResult(text, "1.0.0")).toThrow(expect.objectContaining({ reason: "PLUGIN_BAD_OUTPUT" }));
    expect(() => readResult(text, "1.0.0")).toThrow(key);
  });
});

const cidr = fc.oneof(
  fc.tuple(fc.ipV4(), fc.nat(32)).map(([ip, prefix]) => `${ip}/${prefix}`),
  fc.tuple(fc.ipV6(), fc.nat(128)).map(([ip, prefix]) => `${ip}/${prefix}`),
);
const goodResult = fc.record(
  {
    cniVersion: fc.constantFrom("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"),
    interfaces: fc.array(fc.record({ name: fc.string(), mac: fc.string() }, { requiredKeys: ["name"] })),
    ips: fc.array(fc.record({ address: cidr, interface: fc.nat(5) }, { requiredKeys: ["address"] })),
    routes: fc.array(fc.record({ dst: cidr, gw: fc.ipV4() }, { requiredKeys: ["dst"] })),
  },
  { requiredKeys: ["cniVersion"] },
);
const bounds = { numRuns: 1500 };

test("a result nested deeper than what clients can be told is refused, as soon as it is read", () => {
  const nested = (levels: number): string =>
    `{"cniVersion":"1.0.0","own":${'{"a":'.repeat(levels)}1${"}".repeat(levels)}}`;
  expect(readResult(nested(31), "1.0.0")).toEqual(JSON.parse(nested(31)));
  for (const levels of [32, 20_000]) {
    expect(() => readResult(nested(levels), "1.0.0")).toThrow("nested deeper than 32 levels");
  }
});

test("a result of 0.3.0 or newer comes through any other such version unharmed", () => {
  const versions = fc.constantFrom<CniVersion>("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0");
  fc.assert(
    fc.property(goodResult, versions, (result, version) => {
      const newest = toNewestResult(readResult(JSON.stringify(result), "1.0.0"));
      expect(toNewestResult(convertResult(newest, version))).toEqual(newest);
    }),
    bounds,
  );
});

test("a result in the oldest form keeps to it once it has come there", () => {
  fc.assert(
    fc.property(goodResult, (result) => {
      const oldest = convertResult(readResult(JSON.stringify(result), "1.0.0"), "0.2.0");
      expect(convertResult(toNewestResult(oldest), "0.2.0")).toEqual(oldest);
    }),
    bounds,
  );
});

test("whatever a plugin prints is a result in every version or a PodplugError", () => {
  const almost = fc.record(
    {
      cniVersion: fc.oneof(fc.constantFrom(...cniVersions), fc.jsonValue()),
      interfaces: fc.jsonValue(),
      ips: fc.oneof(
        fc.array(fc.record({ address: fc.oneof(cidr, fc.jsonValue()), gateway: fc.jsonValue() })),
        fc.jsonValue(),
      ),
      routes: fc.jsonValue(),
      ip4: fc.oneof(fc.record({ ip: cidr, gateway: fc.jsonValue(), routes: fc.jsonValue() }), fc.jsonValue()),
      dns: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  const output = fc.oneof(
    almost.map((value) => JSON.stringify(value)),
    fc.json(),
    fc.string(),
  );
  fc.assert(
    fc.property(
      output,
      fc.constantFrom(...cniVersions),
      fc.constantFrom(...cniVersions),
      (text, config, other) => {
        const outcome = outcomeOf(() => readResult(text, config));
        if (outcome instanceof PodplugError) return;
        expect(convertResult(outcome, other)["cniVersion"]).toBe(other);
      },
    ),
    bounds,
  );
});
