import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Intent } from "../../src/contiv/intent.ts";
import { isHostOf, overlap, parseAddress, parseBlock } from "../../src/contiv/ipv4.ts";
import { readIntent } from "../../src/contiv/read-intent.ts";
import { bareAddress } from "../../src/domain/selection.ts";
import { example } from "./example.ts";

function intentOf(value: unknown): Intent {
  const read = readIntent(JSON.stringify(value));
  if (read.kind === "invalid") throw new Error(read.faults.join("\n"));
  return read.intent;
}

function faultsOf(value: unknown): readonly string[] {
  const read = readIntent(typeof value === "string" ? value : JSON.stringify(value));
  return read.kind === "invalid" ? read.faults : [];
}

/** The example's tenant with these keys, and networks of these keys. */
function tenant(keys: object, ...networks: readonly object[]): object {
  const named = networks.map((network, index) => ({ Name: `net-${index + 1}`, ...network }));
  return { ...example.Tenants[0], Networks: named, ...keys };
}

function withTenants(...tenants: readonly object[]): object {
  return { ...example, Tenants: tenants };
}

test("contiv's example has the tags, subnets and addresses that follow from it", () => {
  expect(intentOf(example)).toEqual({
    hosts: [
      { name: "host1", vtepIp: "192.168.2.10" },
      { name: "host2", vtepIp: "192.168.2.11" },
    ],
    networks: [
      {
        tenant: "tenant-one",
        name: "orange",
        kind: "vxlan",
        tag: 10001,
        subnet: "11.1.0.0/24",
        endpoints: [
          { container: "container1", address: "11.1.0.1/24" },
          { container: "container3", address: "11.1.0.2/24" },
        ],
      },
      {
        tenant: "tenant-one",
        name: "purple",
        kind: "vxlan",
        tag: 10002,
        subnet: "11.1.1.0/24",
        endpoints: [
          { container: "container2", address: "11.1.1.1/24" },
          { container: "container4", address: "11.1.1.2/24" },
        ],
      },
    ],
  });
});

test("keys are taken in any case, and those that contiv doesn't know are left alone", () => {
  const shout = JSON.stringify({ ...example, Comment: "kept" }).replace(/"(\w+)":/g, (key) =>
    key.toUpperCase(),
  );
  const whisper = shout.replace(/"(\w+)":/g, (key) => key.toLowerCase());
  expect(readIntent(shout)).toEqual({ kind: "valid", intent: intentOf(example) });
  expect(readIntent(whisper)).toEqual({ kind: "valid", intent: intentOf(example) });
});

test("what the file gives itself is taken out of ranges and pools first", () => {
  const { networks } = intentOf(
    withTenants(
      tenant(
        { Vxlans: "10-12" },
        {},
        { PktTag: 10, SubnetCIDR: "11.1.0.0/23", DefaultGw: "11.1.0.1" },
        { PktTagType: "vlan", PktTag: "7", Endpoints: [{ Container: "a" }] },
      ),
    ),
  );
  expect(networks.map(({ kind, tag, subnet, gateway }) => [kind, tag, subnet, gateway])).toEqual([
    ["vxlan", 11, "11.1.2.0/24", undefined],
    ["vxlan", 10, "11.1.0.0/23", "11.1.0.1"],
    ["vlan", 7, "11.1.3.0/24", undefined],
  ]);
});

test("addresses are an endpoint's own, else the next in order that nobody has", () => {
  const { networks } = intentOf(
    withTenants(
      tenant(
        {},
        {
          DefaultGw: "11.1.0.1",
          Endpoints: [
            { Container: "a" },
            { Container: "b", IPAddress: "11.1.0.2" },
            { Container: "c" },
            { Container: "d", IPAddress: "11.1.0.200" },
          ],
        },
      ),
    ),
  );
  expect(networks[0]?.endpoints.map(({ container, address }) => `${container} ${address}`)).toEqual([
    "a 11.1.0.3/24",
    "b 11.1.0.2/24",
    "c 11.1.0.4/24",
    "d 11.1.0.200/24",
  ]);
});

test("an endpoint's host is its own, else its container's binding, else any", () => {
  const { networks } = intentOf({
    ...withTenants(
      tenant({}, { Endpoints: [{ Container: "a", Host: "host2" }, { Container: "b" }, { Container: "c" }] }),
    ),
    HostBindings: [
      { Container: "a", Host: "host1" },
      { Container: "b", Host: "host1" },
    ],
  });
  expect(networks[0]?.endpoints.map(({ host }) => host)).toEqual(["host2", "host1", undefined]);
});

describe("bad input is told with its path:", () => {
  test.each<[string, unknown, readonly string[]]>([
    ["no JSON", "Hosts:", ["it isn't JSON: "]],
    ["no object", [], ["it isn't a JSON object"]],
    [
      "wrong types",
      { Tenants: { Name: "a" }, Hosts: [{ Name: 7 }] },
      ["Hosts[0].Name: invalid input", "Tenants: invalid input"],
    ],
    ["a key twice", '{"hosts": [], "Hosts": []}', ["Hosts: is there twice"]],
    [
      "hosts",
      {
        Hosts: [
          {},
          { Name: "a", VtepIp: "1.2.3" },
          { Name: "a", Intf: "eth 1" },
          { Name: "b", VtepIp: "10.0.0.1" },
          { Name: "c", VtepIp: "10.0.0.1" },
        ],
      },
      [
        "Hosts[0].Name: it is missing",
        'Hosts[1].VtepIP: "1.2.3" isn\'t an IPv4 address',
        "Hosts[2].Name: there is another host a",
        "Hosts[2].Intf: \"eth 1\" isn't an interface's name",
        "Hosts[4].VtepIP: 10.0.0.1 is b's too",
      ],
    ],
    [
      "overlapping pools",
      withTenants(tenant({}), tenant({ Name: "two", SubnetPool: "11.1.128.0/17" })),
      ["Tenants[1].SubnetPool: it overlaps Tenants[0]'s"],
    ],
    [
      "overlapping subnets and tags of two networks",
      withTenants(
        tenant({}, { PktTag: 5, SubnetCIDR: "12.0.0.0/16" }, { PktTag: "5", SubnetCIDR: "12.0.9.0/24" }),
      ),
      [
        "Tenants[0].Networks[1].PktTag: another network has vxlan 5 too",
        "Tenants[0].Networks[1].SubnetCIDR: it overlaps another network's, 12.0.0.0/16",
      ],
    ],
    [
      "names twice",
      withTenants(tenant({}, { Name: "a" }, { Name: "a" }), tenant({ SubnetPool: "12.0.0.0/16" })),
      [
        "Tenants[0].Networks[1].Name: the tenant has another network a",
        "Tenants[1].Name: there is another tenant tenant-one",
      ],
    ],
    [
      "tenants by whose names a network could have that of another tenant's",
      withTenants(
        tenant({ Name: "a" }, { Name: "b.c" }),
        tenant({ Name: "a.b", SubnetPool: "12.0.0.0/16", Vxlans: "1-9" }, { Name: "c" }),
      ),
      ['Tenants[1].Name: "a.b" isn\'t lower-case letters, digits and "-" (rename it'],
    ],
    [
      "unknown hosts",
      {
        ...withTenants(tenant({}, { Endpoints: [{ Container: "a", Host: "host9" }] })),
        HostBindings: [{ Container: "b", Host: "host8" }],
      },
      [
        "HostBindings[0].Host: host8 isn't among Hosts",
        "Tenants[0].Networks[0].Endpoints[0].Host: host9 isn't among Hosts",
      ],
    ],
    [
      "exhausted tags",
      withTenants(tenant({ Vxlans: "1-2" }, {}, {}, {})),
      ["Tenants[0].Networks[2]: no tag is left in the tenant's VXLANs 1-2"],
    ],
    [
      "exhausted subnets",
      withTenants(tenant({ SubnetPool: "11.1.0.0/23" }, {}, {}, {})),
      ["Tenants[0].Networks[2]: no subnet of /24 is left in the tenant's SubnetPool"],
    ],
    [
      "pools that no network fits into",
      withTenants(
        tenant({ SubnetPool: "11.1.0.0/31" }, {}),
        tenant({ Name: "two", SubnetPool: "12.1.0.0/32", Vxlans: "1-9" }, { SubnetCIDR: "12.2.0.0/24" }),
      ),
      [
        'Tenants[0].SubnetPool: "11.1.0.0/31" isn\'t an IPv4 subnet of /0 to /30',
        'Tenants[1].SubnetPool: "12.1.0.0/32" isn\'t an IPv4 subnet of /0 to /30',
      ],
    ],
    [
      "exhausted addresses",
      withTenants(
        tenant(
          {},
          {
            SubnetCIDR: "12.0.0.0/30",
            Endpoints: [{ Container: "a" }, { Container: "b" }, { Container: "c" }],
          },
        ),
      ),
      ["Tenants[0].Networks[0].Endpoints[2]: no address is left in the network's subnet 12.0.0.0/30"],
    ],
    [
      "addresses",
      withTenants(
        tenant(
          {},
          {
            DefaultGw: "11.2.0.1",
            Endpoints: [
              { Container: "a", IPAddress: "11.1.0.0" },
              { Container: "b", IPAddress: "11.1.0.9" },
              { Container: "c", IPAddress: "11.1.0.9" },
              { Container: "d", IPAddress: "11.1.0" },
            ],
          },
        ),
      ),
      [
        "Tenants[0].Networks[0].DefaultGw: 11.2.0.1 isn't a host's address in the network's subnet 11.1.0.0/24",
        "Tenants[0].Networks[0].Endpoints[0].IPAddress: 11.1.0.0 isn't a host's address",
        "Tenants[0].Networks[0].Endpoints[2].IPAddress: 11.1.0.9 is container b's too",
        'Tenants[0].Networks[0].Endpoints[3].IPAddress: "11.1.0" isn\'t an IPv4 address',
      ],
    ],
    [
      "endpoints",
      withTenants(tenant({}, { Endpoints: [{}, { Container: "a" }, { Container: "a", Host: "host1" }] })),
      [
        "Tenants[0].Networks[0].Endpoints[0].Container: it is missing",
        "Tenants[0].Networks[0].Endpoints[2].Container: the network has another endpoint of a",
      ],
    ],
    [
      "what can't be allocated, and no second fault that follows from the first",
      withTenants(
        tenant(
          { Name: "Tenant_1", Vxlans: "9-1", SubnetPool: "11.1.0.0", DefaultNetType: null },
          { PktTagType: "gre" },
          { PktTagType: "vxlan" },
          {},
          { PktTagType: "vlan" },
        ),
      ),
      [
        'Tenants[0].SubnetPool: "11.1.0.0" isn\'t an IPv4 subnet',
        'Tenants[0].Networks[0].PktTagType: "gre" isn\'t vlan or vxlan',
        "Tenants[0].Networks[2].PktTagType: neither it nor the tenant's DefaultNetType is there",
        'Tenants[0].Name: "Tenant_1" isn\'t lower-case',
        'Tenants[0].VXLANs: "9-1" isn\'t ranges of numbers from 1 to 16777215',
        "Tenants[0].Networks[3].PktTag: neither it nor the tenant's VLANs is there",
      ],
    ],
    [
      "tags and subnets that are none",
      withTenants(
        tenant(
          { AllocSubnetLen: 8 },
          { PktTag: 16_777_216, SubnetCIDR: "11.1.0.0/31" },
          { PktTagType: "vlan", PktTag: 4095, SubnetCIDR: "11.1.0.0/33" },
        ),
      ),
      [
        'Tenants[0].Networks[0].PktTag: "16777216" isn\'t one of the numbers from 1 to 16777215',
        'Tenants[0].Networks[0].SubnetCIDR: "11.1.0.0/31" isn\'t an IPv4 subnet of /1 to /30',
        'Tenants[0].Networks[1].PktTag: "4095" isn\'t one of the numbers from 1 to 4094',
        'Tenants[0].Networks[1].SubnetCIDR: "11.1.0.0/33" isn\'t an IPv4 subnet of /1 to /30',
        "Tenants[0].AllocSubnetLen: 8 isn't a length from SubnetPool's own to 30",
      ],
    ],
  ])("%s", (_what, value, faults) => {
    const told = faultsOf(value);
    expect(told.map((fault, index) => fault.slice(0, faults[index]?.length))).toEqual(faults);
  });
});

test("the names in a file that can't be used are known: whom it may be for", () => {
  const text = JSON.stringify(
    withTenants(tenant({ SubnetPool: "?" }, { Endpoints: [{ Container: "a-1.b" }] })),
  );
  for (const each of [text, text.slice(0, -2)]) {
    const read = readIntent(each);
    const known = read.kind === "invalid" ? read.words : undefined;
    expect(["a-1.b", "a-1", "a", "b"].filter((name) => known?.has(name))).toEqual(["a-1.b"]);
  }
});

describe("whatever the file", () => {
  const endpoint = fc.record({
    Container: fc.constantFrom("a", "b", "c", "d", "e"),
    IPAddress: fc.option(fc.constantFrom("11.1.0.1", "11.1.0.2", "11.1.4.1"), { nil: undefined }),
  });
  const network = fc.record({
    Name: fc.constantFrom("red", "green", "blue", "grey"),
    PktTagType: fc.constantFrom("vlan", "vxlan", undefined),
    PktTag: fc.option(fc.integer({ min: 1, max: 6 }), { nil: undefined }),
    SubnetCIDR: fc.option(fc.constantFrom("11.1.0.0/29", "11.1.4.0/24", "12.0.0.0/30"), { nil: undefined }),
    DefaultGw: fc.option(fc.constantFrom("11.1.0.1", "11.1.4.1"), { nil: undefined }),
    Endpoints: fc.uniqueArray(endpoint, { selector: ({ Container }) => Container }),
  });
  const anyTenant = fc.record({
    Name: fc.constantFrom("one", "two"),
    DefaultNetType: fc.constantFrom("vlan", "vxlan"),
    SubnetPool: fc.constantFrom("11.1.0.0/16", "11.1.0.0/28", "13.0.0.0/24", "13.0.1.0/31", undefined),
    AllocSubnetLen: fc.constantFrom(undefined, 29, 30),
    Vlans: fc.constantFrom("1-9", "2, 4-5"),
    Vxlans: fc.constantFrom("1-9", "1-2"),
    Networks: fc.uniqueArray(network, { selector: ({ Name }) => Name }),
  });
  const intents = fc.record({
    Tenants: fc.uniqueArray(anyTenant, { selector: ({ Name }) => Name, maxLength: 2 }),
  });

  test("tags, subnets and addresses are nobody else's, and every address is a host's of its subnet", () => {
    fc.assert(
      fc.property(intents, (value) => {
        const read = readIntent(JSON.stringify(value));
        if (read.kind === "invalid") return read.faults.length > 0;
        const { networks } = read.intent;
        const tags = networks.map(({ kind, tag }) => `${kind} ${tag}`);
        expect(new Set(tags).size).toBe(tags.length);
        const subnets = networks.map(({ subnet }) => parseBlock(subnet) ?? { base: 0, prefix: 0 });
        const pairs = subnets.flatMap((a, at) => subnets.slice(at + 1).map((b) => [a, b] as const));
        expect(pairs.filter(([a, b]) => overlap(a, b))).toEqual([]);
        for (const [index, { gateway, endpoints }] of networks.entries()) {
          const addresses = [gateway ?? [], endpoints.map(({ address }) => bareAddress(address))].flat();
          expect(new Set(addresses).size).toBe(addresses.length);
          const subnet = subnets[index] ?? { base: 0, prefix: 0 };
          expect(addresses.filter((each) => !isHostOf(subnet, parseAddress(each) ?? 0))).toEqual([]);
        }
        return true;
      }),
      { numRuns: 500 },
    );
  });

  test("every network and endpoint of a valid file is there, in its order", () => {
    fc.assert(
      fc.property(intents, (value) => {
        const read = readIntent(JSON.stringify(value));
        if (read.kind === "invalid") return;
        const written = value.Tenants.flatMap(({ Name: tenantName, Networks }) =>
          Networks.map(({ Name, Endpoints }) => [
            `${tenantName}/${Name}`,
            ...Endpoints.map(({ Container }) => Container),
          ]),
        );
        const given = read.intent.networks.map((each) => [
          `${each.tenant}/${each.name}`,
          ...each.endpoints.map(({ container }) => container),
        ]);
        expect(given).toEqual(written);
      }),
      { numRuns: 500 },
    );
  });

  test("any JSON is read or refused, never thrown at", () => {
    fc.assert(fc.property(fc.json(), (text) => ["valid", "invalid"].includes(readIntent(text).kind)));
  });
});
