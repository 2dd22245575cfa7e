import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createCaches } from "../../src/agent/caches.ts";
import { encodeCacheEntry } from "../../src/cni/cache.ts";
import { parseConfig } from "../../src/config.ts";
import { createRecordingLog } from "../support/recording-log.ts";

const dataName = "net8d777f385d3d";

/** What is found of `dataName` where libcni keeps a network of this type, and kactus perhaps its notes. */
async function found(type: string, notes?: string) {
  const folder = await mkdtemp(join(tmpdir(), "podplug-caches-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const each of ["results", "kactus"]) await mkdir(join(folder, each));
  const entry = {
    kind: "cniCacheV1",
    containerId: "c0ffee",
    ifName: dataName,
    networkName: "cbr0",
    config: JSON.stringify({ cniVersion: "0.3.1", name: "cbr0", type }),
    cniArgs: [["K8S_POD_NETWORK", "data"]],
    capabilityArgs: {},
    result: { cniVersion: "0.3.1" },
  } as const;
  await writeFile(
    join(folder, "results", `cbr0-c0ffee-${dataName}`),
    JSON.stringify(encodeCacheEntry(entry)),
  );
  if (notes !== undefined) await writeFile(join(folder, "kactus", "c0ffee"), notes);
  const config = parseConfig(JSON.stringify({ cni: { cacheDirs: [folder] } }), "a test's");
  return await createCaches(config, createRecordingLog()).find("c0ffee", dataName);
}

test("kactus's notes go before what podagent's libcni keeps: they have the plugin's own configuration", async () => {
  const notes = JSON.stringify([{ type: "bridge", name: "data", networkName: "data" }]);
  expect(await found("kactus", notes)).toMatchObject({ kind: "kactus", networkName: "data" });
});

test("without notes kactus couldn't unplug: nothing is found", async () => {
  expect(await found("kactus")).toBeUndefined();
  expect(await found("kactus", "[]")).toBeUndefined();
});

test("what libcni keeps of any other plugin is found as before", async () => {
  expect(await found("bridge")).toMatchObject({ networkName: "cbr0" });
});
