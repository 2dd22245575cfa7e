import { expect, test } from "vitest";
import type { CacheEntry } from "../../src/cni/cache.ts";
import type { CachedAttachments } from "../../src/cni/cached-attachments.ts";

export interface CachedAttachmentsWorld {
  readonly cached: CachedAttachments;
  /** What another runtime does after a complete ADD. */
  put(entry: CacheEntry): Promise<void>;
}

const net1: CacheEntry = {
  kind: "cniCacheV1",
  containerId: "c0ffee",
  ifName: "net1",
  networkName: "a-network",
  netnsPath: "/run/netns/a",
  config: '{"cniVersion":"1.0.0","name":"a-network","type":"bridge"}',
  cniArgs: [["IgnoreUnknown", "true"]],
  capabilityArgs: { mac: "02:00:00:00:00:01" },
  result: { cniVersion: "1.0.0", interfaces: [] },
};

export function cachedAttachmentsContract(make: () => Promise<CachedAttachmentsWorld>): void {
  test("an attachment is found by its container and interface, whole", async () => {
    const { cached, put } = await make();
    await put(net1);
    await put({ ...net1, ifName: "net2", networkName: "b" });
    expect(await cached.find("c0ffee", "net1")).toEqual(net1);
    expect(await cached.find("c0ffee", "net2")).toMatchObject({ networkName: "b" });
  });

  test("no other is taken for it", async () => {
    const { cached, put } = await make();
    await put(net1);
    for (const [id, name] of [
      ["c0ffee", "net2"],
      ["network-c0ffee", "net1"],
      ["ffee", "net1"],
    ] as const) {
      expect(await cached.find(id, name)).toBeUndefined();
    }
  });

  test("one whose ADD isn't complete, or of another kind, is none", async () => {
    const { cached, put } = await make();
    await put({ ...net1, result: undefined });
    await put({ ...net1, ifName: "net2", kind: "another" });
    expect(await cached.find("c0ffee", "net1")).toBeUndefined();
    expect(await cached.find("c0ffee", "net2")).toBeUndefined();
  });
}
