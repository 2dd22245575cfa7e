import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import {
  createNetAttachDefCatalog,
  type NetAttachDefCatalogOptions,
} from "../../src/networks/net-attach-def.ts";
import { namespacedCatalogContract, networkCatalogContract } from "../contracts/network-catalog.ts";
import { createFakeCluster } from "../fakes/fake-cluster.ts";
import { failure } from "../support/failure.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { createRecordingLog } from "../support/recording-log.ts";

const { signal } = new AbortController();
const away = new PodplugError("UNREACHABLE", "the API server is away");
let confDir: string;

beforeEach(async () => {
  confDir = await mkdtemp(join(tmpdir(), "podplug-net-d-"));
  onTestFinished(() => rm(confDir, { recursive: true }));
});

function listOf(name: string | undefined, type = "bridge"): string {
  return JSON.stringify({ cniVersion: "1.0.0", name, plugins: [{ type }] });
}

function createWorld(options: Partial<NetAttachDefCatalogOptions> = {}) {
  const cluster = createFakeCluster();
  const clock = createManualClock();
  const log = createRecordingLog();
  const reader = cluster.definitions;
  const catalog = createNetAttachDefCatalog({ reader, confDir, clock, log, ...options });
  return {
    cluster,
    clock,
    log,
    catalog,
    find: (name: string, podNamespace: string | undefined = "demo") =>
      catalog.find({ name }, podNamespace, signal),
    async configOf(name: string): Promise<unknown> {
      return JSON.parse((await catalog.find({ name }, "demo", signal)).config);
    },
    write: (name: string, text: string) => writeFile(join(confDir, name), text),
  };
}

function makeContractWorld() {
  const { cluster, clock, catalog } = createWorld();
  const namespace = "demo";
  return {
    catalog,
    source: "netAttachDef" as const,
    namespace,
    async define(name: string, config: object) {
      cluster.define({ namespace, name, config: JSON.stringify(config) });
      clock.advance(5_001);
    },
    async breakDefinition(name: string) {
      cluster.define({ namespace, name, config: "{" });
      clock.advance(5_001);
    },
    async remove(name: string) {
      cluster.undefine(namespace, name);
      clock.advance(5_001);
    },
    async [Symbol.asyncDispose]() {},
  };
}

describe("network attachment definitions", () => {
  networkCatalogContract(async () => makeContractWorld());
  namespacedCatalogContract(async () => makeContractWorld());
});

describe("the configuration of a definition", () => {
  test("gets the definition's name when it has none, whatever its form", async () => {
    const { cluster, configOf } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf(undefined) });
    cluster.define({ namespace: "demo", name: "red", config: '{"type":"macvlan","name":""}' });
    expect(await configOf("blue")).toMatchObject({ name: "blue", plugins: [{ type: "bridge" }] });
    expect(await configOf("red")).toMatchObject({ name: "red", plugins: [{ type: "macvlan" }] });
  });

  test("keeps a name of its own", async () => {
    const { cluster, configOf, find } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf("other") });
    expect(await configOf("blue")).toMatchObject({ name: "other" });
    expect(await find("blue")).toMatchObject({ displayName: "demo/blue" });
  });

  test.each(["", " \n"])("is the node's of its name when spec.config is %j, lists first", async (config) => {
    const { cluster, configOf, write } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config });
    await write("00-other.conflist", listOf("other"));
    await write("10-single.conf", JSON.stringify({ cniVersion: "1.0.0", name: "blue", type: "macvlan" }));
    expect(await configOf("blue")).toMatchObject({ name: "blue", plugins: [{ type: "macvlan" }] });
    await write("20-list.conflist", listOf("blue", "ptp"));
    expect(await configOf("blue")).toMatchObject({ name: "blue", plugins: [{ type: "ptp" }] });
    await write("15-list.configlist", listOf("blue", "vlan"));
    expect(await configOf("blue")).toMatchObject({ name: "blue", plugins: [{ type: "vlan" }] });
  });

  test("that is nowhere is INVALID_NETWORK, saying where it was looked for, until it is there", async () => {
    const { cluster, find, write } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: "" });
    await expect(find("blue")).rejects.toEqual(failure("INVALID_NETWORK", confDir));
    await write("blue.conflist", "{");
    await expect(find("blue")).rejects.toEqual(failure("INVALID_NETWORK", "blue.conflist"));
    await write("blue.conflist", listOf("blue"));
    expect(await find("blue")).toBeDefined();
  });

  test("on the node isn't used without a definition in the cluster", async () => {
    const { find, write } = createWorld();
    await write("blue.conflist", listOf("blue"));
    await expect(find("blue")).rejects.toEqual(failure("NETWORK_NOT_FOUND", "demo/blue"));
  });
});

describe("what was read", () => {
  test("is asked for once for all who ask at a time, and again only when it is old", async () => {
    const { cluster, clock, find } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf("blue") });
    await Promise.all(Array.from({ length: 20 }, () => find("blue")));
    clock.advance(5_000);
    await find("blue");
    expect(cluster.reads).toBe(1);
    clock.advance(1);
    await find("blue");
    expect(cluster.reads).toBe(2);
  });

  test("as missing is asked for again after half a second", async () => {
    const { cluster, clock, find } = createWorld();
    await expect(find("blue")).rejects.toEqual(failure("NETWORK_NOT_FOUND"));
    await expect(find("blue")).rejects.toEqual(failure("NETWORK_NOT_FOUND"));
    expect(cluster.reads).toBe(1);
    cluster.define({ namespace: "demo", name: "blue", config: listOf("blue") });
    clock.advance(501);
    expect(await find("blue")).toBeDefined();
  });

  test("is used for ten minutes while the API server is away, with a warning, and then no more", async () => {
    const { cluster, clock, find, log } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf("blue") });
    await find("blue");
    cluster.failWith(away);
    clock.advance(600_000);
    expect(await find("blue")).toMatchObject({ displayName: "demo/blue" });
    expect(log.lines).toMatchObject([{ level: "warn", facts: { network: "demo/blue", ageMs: 600_000 } }]);
    await expect(find("red")).rejects.toEqual(failure("UNREACHABLE"));
    clock.advance(1);
    await expect(find("blue")).rejects.toEqual(failure("UNREACHABLE"));
    cluster.failWith(undefined);
    expect(await find("blue")).toBeDefined();
  });

  test("isn't used once the agent may not read it any more", async () => {
    const { cluster, clock, find } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf("blue") });
    await find("blue");
    cluster.failWith(new PodplugError("PRIVILEGE_MISSING", "forbidden"));
    clock.advance(5_001);
    await expect(find("blue")).rejects.toEqual(failure("PRIVILEGE_MISSING"));
  });

  test("isn't trusted when the clock was set back", async () => {
    const { cluster, clock, find } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf("blue") });
    await find("blue");
    clock.advance(-3_600_000);
    await find("blue");
    expect(cluster.reads).toBe(2);
  });

  test("is a bounded number of definitions", async () => {
    const { cluster, find } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf("blue") });
    await find("blue");
    for (let one = 0; one < 1_000; one += 1) await expect(find(`none-${one}`)).rejects.toThrow("none-");
    const before = cluster.reads;
    await find("blue");
    expect(cluster.reads).toBe(before + 1);
  });

  test("arrives for those who wait when the one who asked first leaves", async () => {
    const { cluster, catalog, find } = createWorld();
    cluster.define({ namespace: "demo", name: "blue", config: listOf("blue") });
    const leaving = new AbortController();
    const first = catalog.find({ name: "blue" }, "demo", leaving.signal);
    const second = find("blue");
    leaving.abort();
    await expect(first).rejects.toEqual(failure("CANCELED"));
    expect(await second).toBeDefined();
  });
});

describe("namespaces", () => {
  test("of others are open unless isolation is on", async () => {
    const { cluster, catalog } = createWorld();
    cluster.define({ namespace: "other", name: "blue", config: listOf("blue") });
    const selection = { name: "blue", namespace: "other" };
    expect(await catalog.find(selection, "demo", signal)).toMatchObject({ displayName: "other/blue" });
  });

  test("of others are DENIED with isolation, there or not, except the global ones", async () => {
    const { cluster, catalog, find } = createWorld({
      namespaceIsolation: true,
      globalNamespaces: ["shared"],
    });
    for (const namespace of ["demo", "shared", "other"]) {
      cluster.define({ namespace, name: "blue", config: listOf("blue") });
    }
    expect(await find("blue")).toMatchObject({ displayName: "demo/blue" });
    const shared = { name: "blue", namespace: "shared" };
    expect(await catalog.find(shared, "demo", signal)).toMatchObject({ displayName: "shared/blue" });
    expect(await catalog.find(shared, undefined, signal)).toMatchObject({ displayName: "shared/blue" });
    const asked = cluster.reads;
    for (const name of ["blue", "none"]) {
      const other = { name, namespace: "other" };
      await expect(catalog.find(other, "demo", signal)).rejects.toEqual(
        failure("DENIED", `network other/${name} is of another namespace`),
      );
      await expect(catalog.find(other, undefined, signal)).rejects.toEqual(failure("DENIED"));
    }
    expect(cluster.reads).toBe(asked);
  });

  test("must be named for a target that is no pod", async () => {
    const { catalog } = createWorld();
    await expect(catalog.find({ name: "blue" }, undefined, signal)).rejects.toEqual(
      failure("NETWORK_NOT_FOUND", "no namespace is given"),
    );
  });
});
