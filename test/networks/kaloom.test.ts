import { describe, expect, test } from "vitest";
import { createKaloomCatalog } from "../../src/networks/kaloom.ts";
import { createFakeCluster } from "../fakes/fake-cluster.ts";
import { failure } from "../support/failure.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { createRecordingLog } from "../support/recording-log.ts";

const { signal } = new AbortController();

function createWorld() {
  const cluster = createFakeCluster();
  const clock = createManualClock();
  const catalog = createKaloomCatalog({ reader: cluster.definitions, clock, log: createRecordingLog() });
  return {
    cluster,
    clock,
    find: (name: string, namespace?: string) => catalog.find({ name, namespace }, "demo", signal),
    leave: () => catalog.find({ name: "green" }, "demo", AbortSignal.abort()),
  };
}

describe("Kaloom's networks", () => {
  test("are one plugin's configuration, found in namespace default from anywhere", async () => {
    const { cluster, find } = createWorld();
    const config = '{"cniVersion":"0.3.1","name":"green-net","vlanId":42,"master":"eth0"}';
    cluster.defineKaloom({ name: "green", plugin: "vlan", config });
    for (const namespace of [undefined, "other"]) {
      const found = await find("green", namespace);
      expect(found).toMatchObject({ displayName: "default/green", source: "kaloom" });
      expect(JSON.parse(found.config)).toMatchObject({
        name: "green-net",
        cniVersion: "0.3.1",
        plugins: [{ type: "vlan", networkName: "green", vlanId: 42, master: "eth0" }],
      });
    }
  });

  test("get their own name when the configuration has none, and keep its type when it has one", async () => {
    const { cluster, find } = createWorld();
    cluster.defineKaloom({ name: "green", plugin: "knf", config: '{"type":"bridge"}' });
    expect(JSON.parse((await find("green")).config)).toMatchObject({
      name: "green",
      plugins: [{ type: "bridge" }],
    });
  });

  test.each([
    ["", "{}"],
    ["bridge", ""],
    ["bridge", "{"],
    ["bridge", "[]"],
  ])("with plugin %j and config %j are INVALID_NETWORK, naming them", async (plugin, config) => {
    const { cluster, find } = createWorld();
    cluster.defineKaloom({ name: "green", plugin, config });
    await expect(find("green")).rejects.toEqual(failure("INVALID_NETWORK", "Kaloom Network default/green"));
  });

  test("that aren't there are NETWORK_NOT_FOUND, and found once they are", async () => {
    const { cluster, clock, find, leave } = createWorld();
    await expect(find("green")).rejects.toEqual(failure("NETWORK_NOT_FOUND", "default/green"));
    cluster.defineKaloom({ name: "green", plugin: "bridge", config: "{}" });
    clock.advance(501);
    expect(await find("green")).toBeDefined();
    await expect(leave()).rejects.toEqual(failure("CANCELED"));
  });
});
