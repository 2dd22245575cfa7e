import { setImmediate as turn } from "node:timers/promises";
import { kaloomAnnotation } from "../../src/controller/annotations/kaloom.ts";
import { npwgAnnotation } from "../../src/controller/annotations/npwg.ts";
import { runController } from "../../src/controller/controller.ts";
import { annotationSource, type SelectionSource } from "../../src/controller/source.ts";
import { interfaceOf, networkOf } from "../../src/controller/status-entries.ts";
import type { Clock } from "../../src/domain/clock.ts";
import type { PodplugError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import { silentLogger } from "../../src/domain/log.ts";
import type { InterfaceEvent, NodeApi } from "../../src/domain/node-api.ts";
import type { Pod, PodKey } from "../../src/domain/pod.ts";
import { bareAddress } from "../../src/domain/selection.ts";
import { networkStatusAnnotation } from "../../src/kube/contract.ts";
import { createWorld } from "../attachments/world.ts";
import { createFakeCluster } from "../fakes/fake-cluster.ts";

/** Time that passes when the test says so, timer by timer. */
function createSteppedClock(): Clock & {
  advance(ms: number): Promise<void>;
  /** Nothing that waits will ever run: its process is gone. */
  forget(): void;
} {
  let nowMs = Date.parse("2026-01-02T03:04:05Z");
  const timers = new Set<{ readonly dueMs: number; readonly action: () => void }>();
  return {
    now: () => new Date(nowMs),
    steadyMs: () => nowMs,
    setTimer(delayMs, action) {
      const timer = { dueMs: nowMs + delayMs, action };
      timers.add(timer);
      return { [Symbol.dispose]: () => timers.delete(timer) };
    },
    forget: () => timers.clear(),
    async advance(ms) {
      const untilMs = nowMs + ms;
      for (;;) {
        const [next] = [...timers].filter(({ dueMs }) => dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs);
        if (!next) break;
        timers.delete(next);
        nowMs = next.dueMs;
        next.action();
        await quiet();
      }
      nowMs = untilMs;
    },
  };
}

/** Lets everything run that waits for nothing but its turn. */
export async function quiet(): Promise<void> {
  for (let turns = 0; turns < 40; turns += 1) await turn();
}

export const networksAnnotation = npwgAnnotation.annotation;

/** A node in memory with its controller, and the cluster that it belongs to. */
export async function createNode({
  concurrency = 32,
  otherSources = () => [],
  hears = () => true,
}: {
  readonly concurrency?: number;
  /** Which of the API's events come through, as one may come late. */
  readonly hears?: (event: InterfaceEvent) => boolean;
  readonly otherSources?: (podKeys: () => readonly PodKey[]) => readonly SelectionSource[];
} = {}) {
  const clock = createSteppedClock();
  const world = await createWorld({ clock, maxConcurrent: 8 });
  const cluster = createFakeCluster();
  const config = { plugins: [{ type: "fake", capabilities: { mac: true, ips: true } }] };
  for (const name of ["blue", "red", "green"]) world.networks.define(name, { namespace: "default", config });

  let away: PodplugError | undefined;
  const api = (): NodeApi => {
    if (away) throw away;
    return world.as("controller", true);
  };
  /** Whichever engine runs now, as a client that reconnects would see it. */
  const connection: NodeApi = {
    attach: async (request, signal) => api().attach(request, signal),
    detach: async (request, signal) => api().detach(request, signal),
    list: async (request, signal) => api().list(request, signal),
    async *watch(request, signal) {
      for await (const event of api().watch(request, signal)) if (hears(event)) yield event;
    },
    check: async (request, signal) => api().check(request, signal),
    info: async (signal) => api().info(signal),
  };

  let stopping = new AbortController();
  let running = Promise.resolve();
  let watchingOver = Promise.resolve();

  async function startController(): Promise<void> {
    stopping = new AbortController();
    running = runController(
      {
        api: connection,
        pods: cluster.pods,
        status: cluster.statusWriter,
        events: cluster.events,
        sources: [
          ...[npwgAnnotation, kaloomAnnotation].map(annotationSource),
          ...otherSources(() => cluster.pods.keys()),
        ],
        defaultNetworkName: "cluster",
        ifNaming: "npwg",
        heals: true,
        resyncMs: 300_000,
        maxConcurrent: concurrency,
        timeoutMs: 90_000,
        clock,
        random: () => 0.5,
        log: silentLogger,
      },
      stopping.signal,
    );
    watchingOver = world.engine.watchOver(300_000, stopping.signal);
    await quiet();
  }

  async function stopController(): Promise<void> {
    stopping.abort();
    await Promise.all([running, watchingOver]);
  }

  const netnsPaths = new Map<string, string>();
  const podAt = (name: string): Pod => {
    const pod = cluster.podAt(`default/${name}`);
    if (!pod) throw new Error(`the test has no pod ${name}`);
    return pod;
  };

  function statusOf(name: string): readonly JsonObject[] {
    return JSON.parse(podAt(name).annotations[networkStatusAnnotation] ?? "[]") as JsonObject[];
  }

  function links(name: string): readonly string[] {
    return world.linkNames(netnsPaths.get(name) ?? "");
  }

  await startController();

  return {
    world,
    cluster,
    clock,
    startController,
    stopController,
    podAt,
    netnsPath: (name: string): string => netnsPaths.get(name) ?? "",
    links,
    statusOf,
    /** The agent dies with its controller, and what its plugins did stays. */
    async kill(): Promise<void> {
      await stopController();
      clock.forget();
    },
    async restart(): Promise<void> {
      await world.restart();
      await startController();
    },
    /** The API can't be reached, until cleared with `undefined`. */
    apiAway(error: PodplugError | undefined): void {
      away = error;
    },
    /** A running pod, whose networks annotation is `networks`. */
    async addPod(name: string, networks?: string, facts: Partial<Pod> = {}): Promise<void> {
      const sandbox = await world.sandboxes.addPod({ namespace: "default", name });
      netnsPaths.set(name, sandbox.netnsPath);
      const annotations = {
        ...facts.annotations,
        ...(networks !== undefined && { [networksAnnotation]: networks }),
      };
      cluster.setPod({ ...facts, name, uid: sandbox.pod?.uid ?? "", annotations });
      await quiet();
    },
    /** What a meta plugin does at a pod's creation: an attachment in its own cache, and its network-status. */
    async coldPlug(name: string, ifName: string, network: string): Promise<void> {
      const { id, netnsPath } = await world.sandboxes.locate(
        { kind: "pod", pod: { namespace: "default", name } },
        world.never,
      );
      const entry = {
        kind: "cniCacheV1",
        containerId: id,
        ifName,
        networkName: network,
        netnsPath,
        config: JSON.stringify({ cniVersion: "1.0.0", name: network, type: "fake" }),
        cniArgs: [],
        capabilityArgs: {},
      };
      const result = await world.executor.add({ ...entry, executor: "direct" }, world.never);
      world.cached.put({ ...entry, result });
      const [address = ""] =
        world.interfaces.links(netnsPath).find((link) => link.name === ifName)?.ips ?? [];
      const added = { name: `default/${network}`, interface: ifName, ips: [bareAddress(address)], dns: {} };
      const before = statusOf(name);
      const status =
        before.length > 0 ? before : [{ name: "cluster", interface: "eth0", default: true, dns: {} }];
      cluster.annotate(`default/${name}`, { [networkStatusAnnotation]: JSON.stringify([...status, added]) });
      await quiet();
    },
    /** The same of kactus, which writes no network-status and keeps no answer of ADD. */
    async coldPlugByKactus(name: string, ifName: string, network: string): Promise<void> {
      const { id, netnsPath } = await world.sandboxes.locate(
        { kind: "pod", pod: { namespace: "default", name } },
        world.never,
      );
      const entry = {
        kind: "kactus",
        containerId: id,
        ifName,
        networkName: network,
        config: JSON.stringify({ cniVersion: "0.3.1", name: network, type: "fake" }),
        cniArgs: [],
        capabilityArgs: {},
      };
      await world.executor.add({ ...entry, netnsPath, executor: "direct" }, world.never);
      world.cached.put(entry);
      await quiet();
    },
    async replaceSandbox(name: string): Promise<void> {
      const sandbox = await world.sandboxes.replaceSandbox({ namespace: "default", name });
      netnsPaths.set(name, sandbox.netnsPath);
    },
    async setNetworks(name: string, networks: string | undefined): Promise<void> {
      cluster.annotate(`default/${name}`, { [networksAnnotation]: networks });
      await quiet();
    },
    /** What of the world must agree: links, network-status and leased addresses. */
    state(name: string) {
      return {
        links: links(name),
        status: statusOf(name).map((entry) => `${interfaceOf(entry)} ${networkOf(entry)}`),
        leases: world.executor.leases().map((lease) => lease.split(" ")[1]),
      };
    },
    events: (): readonly string[] => cluster.recorded.map(({ reason, message }) => `${reason}: ${message}`),
    eventReasons: (): readonly string[] => cluster.recorded.map(({ reason }) => reason),
    ipOf: (name: string, ifName: string): readonly string[] | undefined =>
      world.interfaces.links(netnsPaths.get(name) ?? "").find((link) => link.name === ifName)?.ips,
    macOf: (name: string, ifName: string): string | undefined =>
      world.interfaces.links(netnsPaths.get(name) ?? "").find((link) => link.name === ifName)?.mac,
  };
}
