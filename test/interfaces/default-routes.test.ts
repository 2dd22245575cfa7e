import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createNetlinkInterfaceReader, type NetlinkInterfaceReader } from "../../src/interfaces/netlink.ts";
import { defaultRoutesContract } from "../contracts/default-routes.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";

const { signal } = new AbortController();
let kernel: NetlinkInterfaceReader;

beforeAll(async () => {
  kernel = await createNetlinkInterfaceReader();
});
afterAll(() => kernel[Symbol.dispose]());

interface IpRoute {
  readonly gateway?: string;
  readonly dev?: string;
  readonly metric?: number;
  readonly flags?: readonly string[];
}

async function makePodNetns(): Promise<TestNetns> {
  const netns = await makeNetns();
  for (const [name, subnet] of [
    ["eth0", 1],
    ["net1", 2],
  ] as const) {
    await netns.ip("link", "add", name, "type", "veth", "peer", "name", `${name}-peer`);
    await netns.ip("addr", "add", `10.${subnet}.0.2/24`, "dev", name);
    await netns.ip("addr", "add", `fd0${subnet}::2/64`, "dev", name, "nodad");
    await netns.ip("link", "set", name, "up");
    await netns.ip("link", "set", `${name}-peer`, "up");
  }
  return netns;
}

/** What iproute2 says, in full. */
async function shownBy(netns: TestNetns): Promise<readonly unknown[]> {
  const ipv4 = await netns.ipJson<unknown[]>("-4", "route", "show", "default");
  return [...ipv4, ...(await netns.ipJson<unknown[]>("-6", "route", "show", "default"))];
}

describe("the real kernel's default routes", () => {
  defaultRoutesContract(async () => {
    const stack = new AsyncDisposableStack();
    const netns = stack.use(await makePodNetns());
    const other = stack.use(await makeNetns());
    return {
      kernel,
      netns: netns.path,
      otherNetns: other.path,
      addDefaultRoute: (route) =>
        netns.ip(...(route.includes("::") ? ["-6"] : []), "route", "add", "default", ...route.split(" ")),
      async present() {
        const routes = (await shownBy(netns)) as IpRoute[];
        return routes
          .map(({ gateway, dev, metric, flags = [] }) => {
            // The kernel gives every IPv6 route a metric; the usual one goes unsaid.
            const said = metric === undefined || metric === 1024 ? "" : ` metric ${metric}`;
            return `via ${gateway} dev ${dev}${flags.includes("onlink") ? " onlink" : ""}${said}`;
          })
          .toSorted();
      },
      removeLink: (name) => netns.ip("link", "del", name),
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  });
});

describe("the fake kernel's default routes", () => {
  defaultRoutesContract(async () => {
    const fake = createFakeInterfaces();
    const path = "/run/netns/a";
    fake.addNetns(path);
    fake.addNetns("/run/netns/b");
    fake.addLink(path, { name: "eth0", ips: ["10.1.0.2/24", "fd01::2/64"] });
    fake.addLink(path, { name: "net1", ips: ["10.2.0.2/24", "fd02::2/64"] });
    return {
      kernel: fake,
      netns: path,
      otherNetns: "/run/netns/b",
      addDefaultRoute: async (route) => fake.addDefaultRoute(path, route),
      present: async () => fake.defaultRoutesOf(path),
      removeLink: async (name) => fake.removeLink(path, name),
      async [Symbol.asyncDispose]() {},
    };
  });
});

test("default routes with every attribute come back as iproute2 shows them", async () => {
  await using netns = await makePodNetns();
  const place = { netnsPath: netns.path };
  await netns.ip("addr", "add", "10.1.0.3/24", "dev", "eth0");
  for (const route of [
    "via 10.1.0.1 dev eth0 src 10.1.0.3 proto static mtu 1400",
    "via 10.8.8.8 dev eth0 onlink metric 50 proto 99",
    "metric 60 nexthop via 10.1.0.7 dev eth0 weight 3 nexthop via 10.1.0.8 dev eth0 weight 5",
    "dev eth0 scope link metric 70",
  ]) {
    await netns.ip("route", "add", "default", ...route.split(" "));
  }
  for (const route of [
    "via fd01::1 dev eth0 metric 20 pref high",
    "metric 30 nexthop via fd01::7 dev eth0 nexthop via fd01::8 dev eth0",
  ]) {
    await netns.ip("-6", "route", "add", "default", ...route.split(" "));
  }
  const shown = await shownBy(netns);
  const before = await kernel.defaultRoutes(place, signal);
  expect(before.map(({ family }) => family)).toEqual(["ipv4", "ipv4", "ipv4", "ipv4", "ipv6", "ipv6"]);
  const net1 = (await kernel.list(place, signal)).find(({ name }) => name === "net1")?.index ?? 0;
  await kernel.takeDefaultRoutes(place, { ifIndex: net1, gateways: ["10.2.0.1", "FD02:0::1"] }, signal);
  expect(await shownBy(netns)).toMatchObject([
    { gateway: "10.2.0.1", dev: "net1" },
    { gateway: "fd02::1", dev: "net1" },
  ]);
  await netns.ip("link", "del", "net1");
  expect(await kernel.restoreDefaultRoutes(place, before, signal)).toEqual([]);
  expect(await shownBy(netns)).toEqual(shown);
});

test("other tables, other destinations and unreachable defaults are neither seen nor touched", async () => {
  await using netns = await makePodNetns();
  const place = { netnsPath: netns.path };
  await netns.ip("route", "add", "default", "via", "10.1.0.1", "dev", "eth0", "table", "100");
  await netns.ip("route", "add", "10.50.0.0/16", "via", "10.1.0.1", "dev", "eth0");
  await netns.ip("route", "add", "unreachable", "default", "metric", "9000");
  expect(await kernel.defaultRoutes(place, signal)).toEqual([]);
  const before = await netns.ipJson<unknown[]>("-4", "route", "show", "table", "all");
  const net1 = (await kernel.list(place, signal)).find(({ name }) => name === "net1")?.index ?? 0;
  await kernel.takeDefaultRoutes(place, { ifIndex: net1, gateways: ["10.2.0.1"] }, signal);
  const after = await netns.ipJson<unknown[]>("-4", "route", "show", "table", "all");
  expect(after).toEqual(expect.arrayContaining(before));
  expect(after).toHaveLength(before.length + 1);
});

test("a route whose interface is down is told of, not made", async () => {
  await using netns = await makePodNetns();
  const place = { netnsPath: netns.path };
  await netns.ip("route", "add", "default", "via", "10.1.0.1", "dev", "eth0");
  const before = await kernel.defaultRoutes(place, signal);
  await netns.ip("link", "set", "eth0", "down");
  expect(await kernel.restoreDefaultRoutes(place, before, signal)).toEqual(before);
});
