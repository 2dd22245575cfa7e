import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { encodeCacheEntry } from "../../src/cni/cache.ts";
import { createCachedAttachments } from "../../src/cni/cached-attachments.ts";
import { readNetworkList } from "../../src/cni/network-list.ts";
import { cachedAttachmentsContract } from "../contracts/cached-attachments.ts";
import { createFakeCachedAttachments } from "../fakes/fake-cached-attachments.ts";
import { createRecordingLog } from "../support/recording-log.ts";

const containerId = "72942f5e279d14a48674547509a8df391049bb24332abc2b84abde8c3e2c3d1c";
const multusCache = join(import.meta.dirname, "../fixtures/multus-cache");

describe("libcni's cache", () => {
  cachedAttachmentsContract(async () => {
    const folder = await mkdtemp(join(tmpdir(), "podplug-cache-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    await mkdir(join(folder, "results"));
    return {
      cached: createCachedAttachments({ cacheDirs: [folder], log: createRecordingLog() }),
      async put(entry) {
        const name = `${entry.networkName}-${entry.containerId}-${entry.ifName}`;
        await writeFile(join(folder, "results", name), JSON.stringify(encodeCacheEntry(entry)));
      },
    };
  });
});

describe("the fake", () => {
  cachedAttachmentsContract(async () => {
    const cached = createFakeCachedAttachments();
    return { cached, put: async (entry) => cached.put(entry) };
  });
});

async function makeCache() {
  const folder = await mkdtemp(join(tmpdir(), "podplug-cache-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await cp(multusCache, folder, { recursive: true });
  const log = createRecordingLog();
  const cached = createCachedAttachments({ cacheDirs: [join(folder, "none"), folder], log });
  return { cached, results: join(folder, "results"), log };
}

test("what Multus plugged is found by container and interface, with the configuration it ran", async () => {
  const { cached } = await makeCache();
  const net1 = await cached.find(containerId, "net1");
  expect(net1).toMatchObject({ networkName: "blue", ifName: "net1", containerId });
  const network = readNetworkList(net1?.config ?? "", { source: "the cache" });
  expect(network.plugins.map(({ type }) => type)).toEqual(["bridge"]);
  expect(net1?.result).toMatchObject({ ips: [{ address: "10.251.0.2/22" }] });
  expect(await cached.find(containerId, "ens4")).toMatchObject({ networkName: "mac" });
});

test("a file whose name says something else than its content isn't believed", async () => {
  const { cached, results } = await makeCache();
  await cp(join(results, `blue-${containerId}-net1`), join(results, `blue-${containerId}-x-net1`));
  expect(await cached.find(`${containerId}-x`, "net1")).toBeUndefined();
});

test.each([
  ["nothing", ""],
  ["half of it", '{"kind":"cniCacheV1","containerId":'],
  ["no JSON object", '["cniCacheV1"]'],
])("an entry with %s in it is passed over with a warning", async (_what, content) => {
  const { cached, results, log } = await makeCache();
  await writeFile(join(results, `blue-${containerId}-net1`), content);
  expect(await cached.find(containerId, "net1")).toBeUndefined();
  expect(log.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
  expect(await cached.find(containerId, "ens4")).toMatchObject({ networkName: "mac" });
});
