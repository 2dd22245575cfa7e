import { expect, test } from "vitest";
import type { DefaultRoutes, InterfaceReader } from "../../src/interfaces/contract.ts";
import { failure } from "../support/failure.ts";

/** A new namespace with two links that are up: `eth0` with 10.1.0.2/24 and fd01::2/64, `net1` with 10.2.0.2/24 and fd02::2/64. */
export interface DefaultRoutesWorld extends AsyncDisposable {
  readonly kernel: InterfaceReader & DefaultRoutes;
  readonly netns: string;
  readonly otherNetns: string;
  /** By `via GATEWAY dev NAME`; `onlink` and `metric N` may follow. */
  addDefaultRoute(route: string): Promise<void>;
  /** As `via GATEWAY dev NAME …`, sorted. */
  present(): Promise<readonly string[]>;
  removeLink(name: string): Promise<void>;
}

export function defaultRoutesContract(makeWorld: () => Promise<DefaultRoutesWorld>): void {
  const { signal } = new AbortController();

  async function indexOf({ kernel, netns }: DefaultRoutesWorld, name: string): Promise<number> {
    const links = await kernel.list({ netnsPath: netns }, signal);
    return links.find((link) => link.name === name)?.index ?? 0;
  }

  async function takeFor(world: DefaultRoutesWorld, gateways: readonly string[]) {
    const through = { ifIndex: await indexOf(world, "net1"), gateways };
    return await world.kernel.takeDefaultRoutes({ netnsPath: world.netns }, through, signal);
  }

  test("a namespace without default routes has none", async () => {
    await using world = await makeWorld();
    expect(await world.kernel.defaultRoutes({ netnsPath: world.netns }, signal)).toEqual([]);
  });

  test("a default route is read with its family and interface", async () => {
    await using world = await makeWorld();
    await world.addDefaultRoute("via 10.1.0.1 dev eth0");
    await world.addDefaultRoute("via fd01::1 dev eth0");
    const eth0 = await indexOf(world, "eth0");
    expect(await world.kernel.defaultRoutes({ netnsPath: world.netns }, signal)).toMatchObject([
      { family: "ipv4", ifIndexes: [eth0] },
      { family: "ipv6", ifIndexes: [eth0] },
    ]);
  });

  test.each([
    [["10.2.0.1"], ["via 10.2.0.1 dev net1", "via fd01::1 dev eth0"]],
    [["fd02::1"], ["via 10.1.0.1 dev eth0", "via fd02::1 dev net1"]],
    [
      ["fd02::1", "10.2.0.1"],
      ["via 10.2.0.1 dev net1", "via fd02::1 dev net1"],
    ],
  ])(
    "gateways %j take the place of their families' routes alone, and give it back",
    async (gateways, taken) => {
      await using world = await makeWorld();
      for (const route of ["via 10.1.0.1 dev eth0", "via fd01::1 dev eth0"])
        await world.addDefaultRoute(route);
      const before = await world.kernel.defaultRoutes({ netnsPath: world.netns }, signal);
      const families = await takeFor(world, gateways);
      expect(families).toHaveLength(gateways.length);
      expect(await world.present()).toEqual(taken);
      // Again, as after an interruption.
      await takeFor(world, gateways);
      expect(await world.present()).toEqual(taken);

      await world.removeLink("net1");
      const routes = before.filter(({ family }) => families.includes(family));
      expect(await world.kernel.restoreDefaultRoutes({ netnsPath: world.netns }, routes, signal)).toEqual([]);
      expect(await world.present()).toEqual(["via 10.1.0.1 dev eth0", "via fd01::1 dev eth0"]);
      expect(await world.kernel.defaultRoutes({ netnsPath: world.netns }, signal)).toEqual(before);
      // Again, as after an interruption.
      expect(await world.kernel.restoreDefaultRoutes({ netnsPath: world.netns }, before, signal)).toEqual([]);
      expect(await world.kernel.defaultRoutes({ netnsPath: world.netns }, signal)).toEqual(before);
    },
  );

  test("several default routes of one family come back with what they had", async () => {
    await using world = await makeWorld();
    const routes = [
      "via 10.1.0.1 dev eth0",
      "via 10.1.0.9 dev eth0 metric 200",
      "via 10.9.9.9 dev eth0 onlink metric 300",
    ];
    for (const route of routes) await world.addDefaultRoute(route);
    const before = await world.kernel.defaultRoutes({ netnsPath: world.netns }, signal);
    const shown = await world.present();
    await takeFor(world, ["10.2.0.1"]);
    expect(await world.present()).toEqual(["via 10.2.0.1 dev net1"]);
    await world.removeLink("net1");
    await world.kernel.restoreDefaultRoutes({ netnsPath: world.netns }, before, signal);
    expect(await world.present()).toEqual(shown);
  });

  test("without gateways the interface's own default route stays alone, in the family it has one of", async () => {
    await using world = await makeWorld();
    await world.addDefaultRoute("via 10.1.0.1 dev eth0 metric 100");
    await world.addDefaultRoute("via fd01::1 dev eth0");
    expect(await takeFor(world, [])).toEqual([]);
    expect(await world.present()).toHaveLength(2);
    await world.addDefaultRoute("via 10.2.0.1 dev net1");
    expect(await takeFor(world, [])).toEqual(["ipv4"]);
    expect(await world.present()).toEqual(["via 10.2.0.1 dev net1", "via fd01::1 dev eth0"]);
  });

  test.each(["10.7.0.1", "fd07::1"])("a gateway %s that is out of reach changes nothing", async (gateway) => {
    await using world = await makeWorld();
    await world.addDefaultRoute("via 10.1.0.1 dev eth0");
    await expect(takeFor(world, [gateway])).rejects.toEqual(failure("GATEWAY_OUT_OF_REACH"));
    expect(await world.present()).toEqual(["via 10.1.0.1 dev eth0"]);
  });

  test("a route whose interface is gone can't come back", async () => {
    await using world = await makeWorld();
    await world.addDefaultRoute("via 10.2.0.1 dev net1");
    const routes = await world.kernel.defaultRoutes({ netnsPath: world.netns }, signal);
    await world.removeLink("net1");
    expect(await world.kernel.restoreDefaultRoutes({ netnsPath: world.netns }, routes, signal)).toEqual(
      routes,
    );
    expect(await world.present()).toEqual([]);
  });

  test("another namespace than the one that is meant is left alone", async () => {
    await using world = await makeWorld();
    const netns = await world.kernel.identify(world.otherNetns, signal);
    const place = { netnsPath: world.netns, netns };
    const refusal = failure("SANDBOX_NOT_READY");
    await expect(world.kernel.defaultRoutes(place, signal)).rejects.toEqual(refusal);
    await expect(
      world.kernel.takeDefaultRoutes(place, { ifIndex: 2, gateways: ["10.2.0.1"] }, signal),
    ).rejects.toEqual(refusal);
    await expect(world.kernel.restoreDefaultRoutes(place, [], signal)).rejects.toEqual(refusal);
  });
}
