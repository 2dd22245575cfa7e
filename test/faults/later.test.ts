import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  fails,
  makePluginDirectory,
  type PluginDirectory,
  prints,
} from "../fixtures/plugins/plugin-directory.ts";
import { eventually } from "../server/eventually.ts";
import { makePodNode, type PodNode } from "./pod-node.ts";

/** What failed is tried again within 30 s, after what the plugin asked for, and takes some time. */
const soonMs = 30_000 + 5_000 + 60_000;

let plugins: PluginDirectory;
let world: PodNode;
beforeEach(async () => {
  plugins = await makePluginDirectory();
  world = await makePodNode({ binDirs: [plugins.path] });
});
afterEach(async () => {
  await world[Symbol.asyncDispose]();
  await plugins[Symbol.asyncDispose]();
});

test("a plugin that is installed later is used without anybody touching the pod", {
  timeout: 60_000 + soonMs,
}, async () => {
  world.define("late", [{ type: "late" }, world.node.bridgePlugin()]);
  const pod = await world.startPod("web", "late@net1,blue@net2");
  await pod.holds(["net2 blue"]);
  const isTold = (): boolean => world.events().some((event) => /^FailedAdding.*PLUGIN_NOT_FOUND/.test(event));
  await eventually(isTold, "an event says so");
  await plugins.add("late", { ADD: [prints({ cniVersion: "1.0.0" })] });
  await pod.holds(["net1 late", "net2 blue"], soonMs);
});

test("a plugin that says try again later is left alone for five seconds each time", {
  timeout: 60_000 + soonMs,
}, async () => {
  const ready = join(plugins.path, "ready");
  await plugins.add("busy", {
    ADD: [`[ -e '${ready}' ] || { ${fails(11, "busy")}\n}`, prints({ cniVersion: "1.0.0" })],
  });
  world.define("busy", [{ type: "busy" }, world.node.bridgePlugin()]);
  const pod = await world.startPod("web", "busy@net1,blue@net2");
  await pod.holds(["net2 blue"]);
  const adds = async () => (await plugins.calls()).filter(({ command }) => command === "ADD");
  await eventually(async () => (await adds()).length >= 2, "it was asked again", soonMs);
  await writeFile(ready, "");
  await pod.holds(["net1 busy", "net2 blue"], soonMs);
  const [first, ...others] = (await adds()).map(({ atMs }) => atMs);
  let before = first ?? 0;
  for (const atMs of others) {
    expect(atMs - before).toBeGreaterThan(5_000);
    before = atMs;
  }
});
