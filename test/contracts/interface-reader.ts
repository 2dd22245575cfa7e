import { expect, test } from "vitest";
import { type InterfaceReader, isSameNetns } from "../../src/interfaces/contract.ts";
import { failure } from "../support/failure.ts";

/** Two new namespaces, and a hand that changes what is in them. */
export interface InterfaceReaderWorld extends AsyncDisposable {
  readonly reader: InterfaceReader;
  readonly netns: string;
  /** Another path to `netns`. */
  readonly alias: string;
  readonly otherNetns: string;
  /** A path where there is nothing. */
  readonly nothing: string;
  /** Files that aren't network namespaces. */
  readonly notNamespaces: readonly string[];
  addLink(netns: string, link: WorldLink): Promise<void>;
  renameLink(netns: string, from: string, to: string): Promise<void>;
  removeLink(netns: string, name: string): Promise<void>;
}

export interface WorldLink {
  readonly name: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  readonly ips: readonly string[];
}

const blue: WorldLink = { name: "blue", mac: "02:11:22:33:44:55", mtu: 1400, up: true, ips: ["10.9.8.7/24"] };
const green: WorldLink = { name: "green", mac: "02:11:22:33:44:66", mtu: 1500, up: false, ips: [] };

export function interfaceReaderContract(makeWorld: () => Promise<InterfaceReaderWorld>): void {
  const { signal } = new AbortController();

  test("an empty namespace has no interfaces: lo doesn't count", async () => {
    await using world = await makeWorld();
    expect(await world.reader.list({ netnsPath: world.netns }, signal)).toEqual([]);
  });

  test("a link is listed with its index, name, hardware address, MTU and addresses", async () => {
    await using world = await makeWorld();
    await world.addLink(world.netns, blue);
    const [link, ...others] = await world.reader.list({ netnsPath: world.netns }, signal);
    expect(others).toEqual([]);
    expect(link).toMatchObject({ name: "blue", mac: blue.mac, mtu: 1400 });
    expect(link?.index).toBeGreaterThan(1);
    expect(link?.ips).toContain("10.9.8.7/24");
  });

  test("what a link has carried is told when it is asked for", async () => {
    await using world = await makeWorld();
    await world.addLink(world.netns, blue);
    const place = { netnsPath: world.netns };
    const [plain] = await world.reader.list(place, signal);
    expect(plain).not.toHaveProperty("counters");
    const [counted] = await world.reader.list({ ...place, counters: true }, signal);
    const { counters, ...link } = counted ?? {};
    expect(link).toEqual(plain);
    expect(Object.keys(counters ?? {}).sort()).toEqual(
      ["rx", "tx"].flatMap((way) => ["Bytes", "Dropped", "Errors", "Packets"].map((what) => `${way}${what}`)),
    );
    for (const count of Object.values(counters ?? {})) expect(count).toBeGreaterThanOrEqual(0);
  });

  test("a link that is down is listed as down", async () => {
    await using world = await makeWorld();
    await world.addLink(world.netns, green);
    expect(await world.reader.list({ netnsPath: world.netns }, signal)).toMatchObject([
      { name: "green", up: false, ips: [] },
    ]);
  });

  test("links are listed by ascending index", async () => {
    await using world = await makeWorld();
    for (const name of ["zulu", "alpha", "mike"]) {
      await world.addLink(world.netns, {
        ...green,
        name,
        mac: `02:00:00:00:00:${name.length}${name.charCodeAt(0) % 10}`,
      });
    }
    const links = await world.reader.list({ netnsPath: world.netns }, signal);
    expect(links.map(({ name }) => name)).toEqual(["zulu", "alpha", "mike"]);
    expect(links.map(({ index }) => index)).toEqual(
      links.map(({ index }) => index).toSorted((a, b) => a - b),
    );
  });

  test("a renamed link keeps its index", async () => {
    await using world = await makeWorld();
    await world.addLink(world.netns, green);
    const [before] = await world.reader.list({ netnsPath: world.netns }, signal);
    await world.renameLink(world.netns, "green", "lime");
    expect(await world.reader.list({ netnsPath: world.netns }, signal)).toEqual([
      { ...before, name: "lime" },
    ]);
  });

  test("a link that is removed and made again has another index", async () => {
    await using world = await makeWorld();
    await world.addLink(world.netns, green);
    const [before] = await world.reader.list({ netnsPath: world.netns }, signal);
    await world.removeLink(world.netns, "green");
    expect(await world.reader.list({ netnsPath: world.netns }, signal)).toEqual([]);
    await world.addLink(world.netns, green);
    const [after] = await world.reader.list({ netnsPath: world.netns }, signal);
    expect(after?.index).not.toBe(before?.index);
  });

  test("namespaces are apart", async () => {
    await using world = await makeWorld();
    await world.addLink(world.otherNetns, green);
    expect(await world.reader.list({ netnsPath: world.netns }, signal)).toEqual([]);
    expect(await world.reader.list({ netnsPath: world.otherNetns }, signal)).toHaveLength(1);
  });

  test("every path to a namespace gives the same identity and the same links", async () => {
    await using world = await makeWorld();
    await world.addLink(world.netns, green);
    const { reader } = world;
    const one = await reader.identify(world.netns, signal);
    const two = await reader.identify(world.alias, signal);
    expect(isSameNetns(one, two)).toBe(true);
    expect(await reader.list({ netnsPath: world.alias }, signal)).toEqual(
      await reader.list({ netnsPath: world.netns }, signal),
    );
  });

  test("two namespaces have two identities on the same boot", async () => {
    await using world = await makeWorld();
    const one = await world.reader.identify(world.netns, signal);
    const two = await world.reader.identify(world.otherNetns, signal);
    expect(isSameNetns(one, two)).toBe(false);
    expect(two.bootId).toBe(one.bootId);
    expect(one.inode).toMatch(/^\d+:\d+$/);
  });

  test("a path with nothing there is TARGET_NOT_FOUND", async () => {
    await using world = await makeWorld();
    await expect(world.reader.identify(world.nothing, signal)).rejects.toEqual(failure("TARGET_NOT_FOUND"));
    await expect(world.reader.list({ netnsPath: world.nothing }, signal)).rejects.toEqual(
      failure("TARGET_NOT_FOUND"),
    );
  });

  test("a file that isn't a network namespace is TARGET_INVALID", async () => {
    await using world = await makeWorld();
    for (const path of world.notNamespaces) {
      const refusal = failure("TARGET_INVALID", path);
      await expect(world.reader.identify(path, signal)).rejects.toEqual(refusal);
      await expect(world.reader.list({ netnsPath: path }, signal)).rejects.toEqual(refusal);
    }
  });

  test("an aborted signal ends the look with CANCELED, a passed deadline with DEADLINE_EXCEEDED", async () => {
    await using world = await makeWorld();
    const late = new DOMException("too late", "TimeoutError");
    await expect(world.reader.list({ netnsPath: world.netns }, AbortSignal.abort())).rejects.toEqual(
      failure("CANCELED"),
    );
    await expect(world.reader.identify(world.netns, AbortSignal.abort(late))).rejects.toEqual(
      failure("DEADLINE_EXCEEDED"),
    );
  });
}
