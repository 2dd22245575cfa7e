import { setImmediate as turn } from "node:timers/promises";
import type { EngineOptions } from "../../src/attachments/core.ts";
import { createEngine } from "../../src/attachments/engine.ts";
import type { AttachmentJournal, AttachmentRecord } from "../../src/attachments/journal.ts";
import type { EndLeftovers } from "../../src/attachments/leftovers.ts";
import type { Clock } from "../../src/domain/clock.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { silentLogger } from "../../src/domain/log.ts";
import type { NodeApi } from "../../src/domain/node-api.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";
import { createFakeCachedAttachments } from "../fakes/fake-cached-attachments.ts";
import { createFakeDevices } from "../fakes/fake-devices.ts";
import { createFakeExecutor } from "../fakes/fake-executor.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { createFakeNetworks } from "../fakes/fake-networks.ts";
import { createFakeSandboxes } from "../fakes/fake-sandboxes.ts";
import { MemoryJournal } from "../fakes/memory-journal.ts";

/** A clock whose timers fire when the test says so. */
function createManualClock(): Clock & {
  fireAll(): void;
  readonly waiting: number;
  /** Those who wait are no more. */
  forget(): void;
  /** How long each timer was to wait, in their order. */
  readonly delays: readonly number[];
} {
  const timers = new Set<() => void>();
  const delays: number[] = [];
  return {
    delays,
    now: () => new Date("2026-01-02T03:04:05Z"),
    steadyMs: () => 0,
    setTimer(delayMs, action) {
      delays.push(delayMs);
      timers.add(action);
      return { [Symbol.dispose]: () => timers.delete(action) };
    },
    fireAll() {
      const due = [...timers];
      timers.clear();
      for (const action of due) action();
    },
    forget: () => timers.clear(),
    get waiting() {
      return timers.size;
    },
  };
}

/** No plugin of an earlier run. */
export const nothingLeft: EndLeftovers = async () => ({ ended: [], left: [] });

/** A node in memory: an engine on a fake kernel, runtime, catalog and plugins. `restart` gives it a new engine. */
export async function createWorld(changes: Partial<EngineOptions> = {}) {
  const interfaces = createFakeInterfaces();
  const sandboxes = createFakeSandboxes(interfaces);
  const networks = createFakeNetworks("directory");
  const executor = createFakeExecutor(interfaces);
  const devices = createFakeDevices();
  const cached = createFakeCachedAttachments();
  const clock = createManualClock();
  const journal: AttachmentJournal = changes.journal ?? new MemoryJournal();
  networks.define("blue");
  networks.define("green", {
    config: { plugins: [{ type: "fake", capabilities: { mac: true, ips: true } }] },
  });

  const start = () =>
    createEngine({
      nodeName: "node-1",
      version: "0.0.0",
      journal,
      sandboxes,
      networks,
      executor,
      interfaces,
      interfaceEvents: interfaces,
      devices,
      cached,
      defaultNetworkName: async () => "cluster",
      maxConcurrent: 4,
      timeoutMs: 60_000,
      ifNaming: "npwg",
      podLife: () => "unknown",
      heals: () => false,
      clock,
      log: silentLogger,
      ...changes,
    });
  let engine = start();

  return {
    interfaces,
    sandboxes,
    networks,
    executor,
    devices,
    cached,
    clock,
    journal,
    get engine() {
      return engine;
    },
    as: (name: string, reconciler = false): NodeApi => engine.forCaller({ name, reconciler }),
    /** A new namespace that stands for a pod. */
    async addNetns(path: string): Promise<Target> {
      interfaces.addNetns(path);
      return { kind: "netns", netns: path };
    },
    /** As after a kill: the old engine is forgotten, whatever it was doing. */
    async restart(end = nothingLeft): Promise<void> {
      clock.forget();
      engine = start();
      await (await engine.recover(end)).settled;
    },
    linkNames: (path: string): readonly string[] => interfaces.links(path).map((link) => link.name),
    async states(): Promise<readonly string[]> {
      return (await journal.load()).map((record) => `${record.ifName} ${record.state}`).toSorted();
    },
    never: neverAborted,
  };
}

export type World = Awaited<ReturnType<typeof createWorld>>;

/** Network blue as net1 of a new namespace. */
export async function attachBlue(world: World, path = "/run/netns/a") {
  const target = await world.addNetns(path);
  const network = { name: "blue", interface: "net1" };
  return { target, answer: await world.as("tester").attach({ target, network }, neverAborted) };
}

export const pluginFailed = new PodplugError("PLUGIN_FAILED", "plugin fake failed: no", {
  plugin: "fake",
  cniCode: 100,
});

export const diskFull = new PodplugError(
  "JOURNAL_FAILED",
  "writing the record failed: no space left on the device",
);

/** A journal that fails or stops at the nth write, as a full disk or a kill would. */
export class FaultyJournal extends MemoryJournal implements AttachmentJournal {
  fault: ((record: AttachmentRecord) => Promise<void> | undefined) | undefined;

  override async write(record: AttachmentRecord): Promise<void> {
    await this.fault?.(record);
    await super.write(record);
  }
}

/** Lets everything that can go on without time passing go on. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 50; turns += 1) await turn();
}

export async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < 1000; turns += 1) {
    if (condition()) return;
    await turn();
  }
  throw new Error("the condition never came true");
}
