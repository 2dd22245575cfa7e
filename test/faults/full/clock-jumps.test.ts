import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { neverAborted } from "../../../src/domain/signals.ts";
import {
  hangs,
  makePluginDirectory,
  type PluginDirectory,
  prints,
} from "../../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../../server/eventually.ts";
import { failure } from "../../support/failure.ts";
import { makePodNode, type NodePod, type PodNode } from "../pod-node.ts";

/*
 * The agent's wall clock (libfaketime), set forward and back under it. The
 * kernel's monotonic clock never jumps, so that is left alone. A jump stays
 * within the day that the API server's certificate is valid for on each side.
 */

let folder: string;
let plugins: PluginDirectory;
let world: PodNode;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "podplug-clock-"));
  await setClock("+0");
  plugins = await makePluginDirectory();
  world = await makePodNode({
    binDirs: [plugins.path],
    config: { cni: { timeoutSeconds: 4 } },
    before: ["env", `LD_PRELOAD=${await findLibrary()}`, ...settings(join(folder, "clock"))],
  });
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await plugins[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const settings = (file: string): readonly string[] => [
  `FAKETIME_TIMESTAMP_FILE=${file}`,
  "FAKETIME_NO_CACHE=1",
  "FAKETIME_DONT_FAKE_MONOTONIC=1",
  "DONT_FAKE_MONOTONIC=1",
  // Times of files stay as the kernel has them, as they do when a clock is set.
  "NO_FAKE_STAT=1",
];

async function findLibrary(): Promise<string> {
  const [triplet] = (await readdir("/usr/lib")).filter((name) => /^(x86_64|aarch64)-linux-gnu$/.test(name));
  return `/usr/lib/${triplet}/faketime/libfaketimeMT.so.1`;
}

/** From the true time; the agent sees the whole of it or nothing. */
async function setClock(offset: string): Promise<void> {
  await writeFile(join(folder, "next"), `${offset}\n`);
  await rename(join(folder, "next"), join(folder, "clock"));
}

/** How far the agent's clock is from the true one, by what it says of an attachment. */
async function aheadHours(pod: NodePod): Promise<number> {
  const network = { name: "blue", interface: "clock0" };
  const { interface: made } = await world.client.attach({ target: pod.target, network }, neverAborted);
  const which = { by: "interface", interface: "clock0" } as const;
  await world.client.detach({ target: pod.target, which }, neverAborted);
  return Math.round(((made.attachedAt?.getTime() ?? 0) - Date.now()) / 3_600_000);
}

test("when the clock is set forward or back, deadlines, retries, events and recovery go by the time that passes", {
  timeout: 400_000,
}, async () => {
  await plugins.add("hanging", { ADD: [hangs()] });
  world.define("hanging", [{ type: "hanging" }, world.node.bridgePlugin()]);
  const pod = await world.startPod("web", "blue@net1");
  await pod.holds(["net1 blue"]);

  for (const [index, hours] of [0, 11, -11, 3].entries()) {
    const late = `late-${index}`;
    world.define(late, [{ type: late }, world.node.bridgePlugin()]);
    // Waits for its plugin from before the jump.
    pod.networks(`blue@net1,${late}@net2`);
    await hears(new RegExp(`^FailedAdding.*${late}`));
    const hanging = timed(
      world.client.attach(
        { target: pod.target, network: { name: "hanging", interface: "net3" } },
        neverAborted,
      ),
    );
    await eventually(async () => (await plugins.order()).at(-1) === "hanging ADD", "the plugin hangs");
    await setClock(`${hours < 0 ? "" : "+"}${hours}h`);

    const { error, tookMs } = await hanging;
    expect(error).toEqual(failure("PLUGIN_TIMEOUT"));
    expect(tookMs).toBeGreaterThan(3_500);
    expect(tookMs).toBeLessThan(15_000);
    expect(await aheadHours(pod)).toBeCloseTo(hours);
    await plugins.add(late, { ADD: [prints({ cniVersion: "1.0.0" })] });
    await pod.holds(["net1 blue", `net2 ${late}`], 90_000);
    pod.networks("blue@net1");
    await pod.holds(["net1 blue"]);
    pod.networks(`blue@net1,missing-${index}@net4`);
    await hears(new RegExp(`^FailedAdding.*missing-${index}`));
    pod.networks("blue@net1");
  }

  await world.kill();
  await setClock("-9h");
  await world.start();
  await pod.holds(["net1 blue"]);
  pod.networks(undefined);
  await pod.holds([], 90_000);
});

async function hears(event: RegExp): Promise<void> {
  await eventually(() => world.events().some((each) => event.test(each)), `an event ${event.source}`);
}

async function timed(work: Promise<unknown>): Promise<{ readonly error: unknown; readonly tookMs: number }> {
  const began = performance.now();
  const error = await work.catch((thrown: unknown) => thrown);
  return { error, tookMs: performance.now() - began };
}
