import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { createEngine } from "../../src/attachments/engine.ts";
import { createFileJournal } from "../../src/attachments/file-journal.ts";
import { createFileSteps, type FileSteps } from "../../src/attachments/file-steps.ts";
import type { AttachmentRecord } from "../../src/attachments/journal.ts";
import { PodplugError } from "../../src/domain/errors.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import type { Target } from "../../src/domain/target.ts";
import type { Sandbox } from "../../src/sandbox/contract.ts";
import { nothingLeft } from "../attachments/world.ts";
import { createFakeCachedAttachments } from "../fakes/fake-cached-attachments.ts";
import { createFakeDevices } from "../fakes/fake-devices.ts";
import { createFakeExecutor } from "../fakes/fake-executor.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { createFakeNetworks } from "../fakes/fake-networks.ts";
import { createFakeSandboxes } from "../fakes/fake-sandboxes.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { createLife } from "./life.ts";
import type { Place } from "./model.ts";

/** Longer than any pause between two attempts. */
const longMs = 10 * 60_000;
/** What can't be done is tried for ever: this often is enough to see that. */
const mostRounds = 12;
const pluginFailed = new PodplugError("PLUGIN_FAILED", "plugin fake failed: no", { plugin: "fake" });

/** What goes wrong during one act. */
export type Fault =
  | { readonly kind: "none" }
  /** The next agent's recovery may meet plugins that fail. */
  | { readonly kind: "killed"; readonly atCall: number; readonly recovery?: FailingPlugins | undefined }
  /** The plugins fail when that many of their two steps are done. */
  | FailingPlugins
  /** From the nth step of writing files on, each fails. */
  | { readonly kind: "disk-full"; readonly fromStep: number };

export interface FailingPlugins {
  readonly kind: "plugins";
  readonly add?: number | undefined;
  readonly del?: number | undefined;
}

export type Ending<T> =
  | { readonly kind: "answered"; readonly answer: T }
  | { readonly kind: "failed"; readonly error: unknown }
  | { readonly kind: "killed" };

/** A real engine with a real journal, on a kernel, a runtime and plugins in memory. */
export async function createModelNode() {
  const stateDir = await mkdtemp(join(tmpdir(), "podplug-model-"));
  const interfaces = createFakeInterfaces();
  const sandboxes = createFakeSandboxes(interfaces);
  const executor = createFakeExecutor(interfaces);
  const networks = createFakeNetworks("directory");
  for (const name of ["blue", "green"]) networks.define(name);
  const files = createFileSteps();
  let stepsLeft = Number.POSITIVE_INFINITY;
  const full = async <T>(work: () => Promise<T>): Promise<T> => {
    stepsLeft -= 1;
    if (stepsLeft < 0) throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    return await work();
  };
  const steps: FileSteps = {
    ...files,
    writeSynced: (path, content) => full(() => files.writeSynced(path, content)),
    rename: (from, to) => full(() => files.rename(from, to)),
    syncDirectory: (path) => full(() => files.syncDirectory(path)),
  };
  const bare = { path: "/run/netns/bare-0", made: 0 };
  interfaces.addNetns(bare.path);
  for (const place of ["pod-a", "pod-b"] as const) await startPod(place);

  async function startPod(place: Place): Promise<void> {
    const { netnsPath } = await sandboxes.addPod({ namespace: "default", name: place });
    interfaces.addDefaultRoute(netnsPath, "via 10.244.0.1 dev eth0");
  }

  async function start() {
    const life = createLife();
    const clock = createManualClock();
    const engine = createEngine({
      nodeName: "node-1",
      version: "0.0.0",
      journal: await createFileJournal({ stateDir, steps: life.give(steps), log: silentLogger }),
      sandboxes: life.give(sandboxes),
      networks: life.give(networks),
      executor: life.give(executor),
      interfaces: life.give(interfaces),
      interfaceEvents: interfaces,
      devices: createFakeDevices(),
      cached: createFakeCachedAttachments(),
      defaultNetworkName: async () => "cluster",
      maxConcurrent: 4,
      timeoutMs: 60_000,
      ifNaming: "npwg",
      podLife: () => "living",
      heals: () => true,
      clock,
      log: silentLogger,
    });
    return { life, clock, engine };
  }
  let run = await start();
  await (await run.engine.recover(nothingLeft)).settled;

  /** Until nothing is under way that doesn't wait for time to pass. */
  async function idle(): Promise<void> {
    for (let quiet = 0; quiet < 6; quiet = run.life.pending > 0 ? 0 : quiet + 1) await turn();
  }

  async function restart(): Promise<void> {
    await idle();
    run = await start();
    await (await run.engine.recover(nothingLeft)).settled;
  }

  function set(fault: Fault): void {
    run.life.killAt(fault.kind === "killed" ? fault.atCall : undefined);
    stepsLeft = fault.kind === "disk-full" ? fault.fromStep : Number.POSITIVE_INFINITY;
    for (const verb of ["add", "del"] as const) {
      const after = fault.kind === "plugins" ? fault[verb] : undefined;
      executor.failOn(verb, after === undefined ? undefined : pluginFailed, after);
    }
  }

  return {
    interfaces,
    sandboxes,
    executor,
    stateDir,
    api: (name: string) => run.engine.forCaller({ name, reconciler: name === "controller" }),
    sweep: () => run.engine.sweep(),
    restart,

    /** The act with what goes wrong meanwhile, and then everything comes to rest without it. */
    async endure<T>(fault: Fault, act: () => Promise<T>): Promise<Ending<T>> {
      set(fault);
      const acted = act().then(
        (answer): Ending<T> => ({ kind: "answered", answer }),
        (error: unknown): Ending<T> => ({ kind: "failed", error }),
      );
      const ending = await Promise.race([acted, run.life.death.then(() => ({ kind: "killed" }) as const)]);
      if (ending.kind !== "killed") await idle();
      const isDead = run.life.isDead;
      set((isDead && fault.kind === "killed" && fault.recovery) || { kind: "none" });
      if (isDead) await restart();
      set({ kind: "none" });
      for (let round = 0; round < mostRounds; round += 1) {
        await run.engine.sweep();
        await idle();
        if (run.clock.waiting === 0) break;
        run.clock.advance(longMs);
        await idle();
      }
      return ending;
    },

    targetOf: (place: Place): Target =>
      place === "bare"
        ? { kind: "netns", netns: bare.path }
        : { kind: "pod", pod: { namespace: "default", name: place } },

    async sandboxOf(place: Place): Promise<Sandbox> {
      return await sandboxes.locate(this.targetOf(place), neverAborted);
    },

    /** Another path leads to it, and the one before nowhere. */
    moveBare(): void {
      const before = bare.path;
      bare.made += 1;
      bare.path = `/run/netns/bare-${bare.made}`;
      interfaces.addPath(bare.path, before);
      interfaces.removePath(before);
    },

    /** It ends, and another has its path or its place. */
    async renew(place: Place, how: "replaced" | "deleted"): Promise<void> {
      if (place === "bare") return interfaces.recycleNetns(bare.path);
      const pod = { namespace: "default", name: place };
      if (how === "deleted") {
        sandboxes.removePod(pod);
        return await startPod(place);
      }
      const { netnsPath } = await sandboxes.replaceSandbox(pod);
      interfaces.addDefaultRoute(netnsPath, "via 10.244.0.1 dev eth0");
    },

    /** What the next agent would read. */
    async records(): Promise<readonly AttachmentRecord[]> {
      const journal = await createFileJournal({ stateDir, steps: files, log: silentLogger });
      const records = await journal.load();
      if ((await journal.missing()) > 0) throw new Error("a record can't be read");
      return records;
    },

    async [Symbol.asyncDispose]() {
      await idle();
      await rm(stateDir, { recursive: true, force: true });
    },
  };
}

export type ModelNode = Awaited<ReturnType<typeof createModelNode>>;
