import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createKactusCache } from "../../src/cni/kactus-cache.ts";
import { readNetworkList } from "../../src/cni/network-list.ts";
import { createRecordingLog } from "../support/recording-log.ts";

/** As kactus 0.3 writes them: the pod's own network, one that replaces it, and two more. */
const kept = JSON.stringify([
  { type: "flannel", masterPlugin: true, delegate: { isDefaultGateway: true } },
  { type: "bridge", networkName: "main", masterPlugin: true, name: "main" },
  {
    type: "bridge",
    networkName: "data",
    cniVersion: "0.3.1",
    name: "data",
    bridge: "data-br",
    serial: 1,
    ipam: { type: "host-local", subnet: "172.20.1.0/24" },
  },
  { type: "macvlan", networkName: "green", master: "eth0" },
]);

const dataName = "net8d777f385d3d";
const greenName = "net9f27410725ab";

async function makeCache(content = kept) {
  const folder = await mkdtemp(join(tmpdir(), "podplug-kactus-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, "kactus"));
  await writeFile(join(folder, "kactus", "c0ffee"), content);
  const log = createRecordingLog();
  const cached = createKactusCache({ cacheDirs: [join(folder, "none"), folder], log });
  return { folder, cached, log };
}

test("what kactus plugged is found by container and interface, with the configuration it ran", async () => {
  const { cached } = await makeCache();
  const data = await cached.find("c0ffee", dataName);
  expect(data).toMatchObject({
    kind: "kactus",
    containerId: "c0ffee",
    ifName: dataName,
    networkName: "data",
  });
  expect(data?.result).toBeUndefined();
  const network = readNetworkList(data?.config ?? "", { source: "the cache" });
  expect(network).toMatchObject({ name: "data", cniVersion: "0.3.1" });
  expect(network.plugins[0].raw).toMatchObject({ type: "bridge", bridge: "data-br", networkName: "data" });
});

test("a configuration without a name has its Network's", async () => {
  const { cached } = await makeCache();
  const green = await cached.find("c0ffee", greenName);
  expect(green).toMatchObject({ networkName: "green" });
  expect(readNetworkList(green?.config ?? "", { source: "the cache" }).name).toBe("green");
});

test("the pod's own network, another interface and another pod are none", async () => {
  const { cached, log } = await makeCache();
  const main = `netfad58de7366495db4650cfefac2fcd61`.slice(0, 15);
  for (const [id, name] of [
    ["c0ffee", "eth0"],
    ["c0ffee", main],
    ["c0ffee", "net1"],
    ["ffee", dataName],
    ["../kactus/c0ffee", dataName],
    ["kactus", dataName],
  ] as const) {
    expect(await cached.find(id, name)).toBeUndefined();
  }
  expect(log.lines).toEqual([]);
});

test("a folder of kactus's own choice may be named itself", async () => {
  const { folder } = await makeCache();
  const cached = createKactusCache({ cacheDirs: [join(folder, "kactus")], log: createRecordingLog() });
  expect(await cached.find("c0ffee", dataName)).toBeDefined();
});

test.each([
  ["nothing", ""],
  ["half of it", '[{"type":"bridge",'],
  ["no list", "{}"],
])("a file with %s in it is passed over with a warning", async (_what, content) => {
  const { cached, log } = await makeCache(content);
  expect(await cached.find("c0ffee", dataName)).toBeUndefined();
  expect(log.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
});
