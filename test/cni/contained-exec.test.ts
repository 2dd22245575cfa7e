import { closeSync, openSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createChildExec } from "../../src/cni/child-exec.ts";
import { createContainedExec } from "../../src/cni/contained-exec.ts";
import type { ExecPlugin, PluginRun } from "../../src/cni/exec-plugin.ts";
import { startNodeChild } from "../../src/cni/node-child.ts";
import { findMarkedProcesses } from "../../src/cni/processes.ts";
import { agentMarkerPrefix } from "../../src/cni/run-marker.ts";
import { type Clock, systemClock } from "../../src/domain/clock.ts";
import { silentLogger as log } from "../../src/domain/log.ts";
import {
  crashes,
  exits,
  hangs,
  leavesChild,
  leavesDaemon,
  makePluginDirectory,
  type PluginDirectory,
  prints,
} from "../fixtures/plugins/plugin-directory.ts";
import { impatientClock, pluginEnv, untilDone } from "./runtime.ts";

let plugins: PluginDirectory;
let agentId: string;

beforeEach(async () => {
  plugins = await makePluginDirectory();
  agentId = `agent-${crypto.randomUUID()}`;
});
afterEach(async () => {
  for (const { pid } of await left()) process.kill(pid, "SIGKILL");
  await plugins[Symbol.asyncDispose]();
});

const contained = (
  clock: Clock = systemClock,
  exec: ExecPlugin = createChildExec({ start: startNodeChild, clock: systemClock }),
) => createContainedExec({ exec, agentId, clock, log });
const left = () => findMarkedProcesses(agentMarkerPrefix(agentId));
const run = (type: string): PluginRun => ({
  path: `${plugins.path}/${type}`,
  env: { ...pluginEnv, CNI_COMMAND: "ADD" },
  stdin: "{}",
});

/** As the kernel refuses to run a file that is open for writing. */
const busy = Object.assign(new Error("spawn ETXTBSY"), { code: "ETXTBSY" });

describe("a plugin that is ended", () => {
  test.each([
    ["itself", []],
    ["its child", [leavesChild()]],
    ["its child in another session", [leavesDaemon()]],
    ["its daemons' daemons", ["setsid sh -c '(setsid sleep 1000 &) ; (setsid sleep 1000 &) ; sleep 1000' &"]],
  ])("leaves nothing behind: %s", async (_what, behaviour) => {
    await plugins.add("plugin", { ADD: [...behaviour, `echo > ${plugins.path}/started`, hangs()] });
    const controller = new AbortController();
    const outcome = contained()(run("plugin"), controller.signal);
    outcome.catch(() => {});
    await expect.poll(async () => (await plugins.calls()).length).toBe(1);
    await expect.poll(async () => (await left()).length).toBeGreaterThan(behaviour.length);
    controller.abort(new Error("enough"));
    await expect(outcome).rejects.toThrow("enough");
    expect(await left()).toEqual([]);
  });

  test("leaves nothing behind when it was a signal of somebody else's", async () => {
    await plugins.add("plugin", { ADD: [leavesDaemon(), leavesChild(), crashes()] });
    expect(await contained()(run("plugin"), untilDone)).toMatchObject({ signal: "SIGKILL" });
    expect(await left()).toEqual([]);
  });
});

test.each([0, 1])("a plugin that exits with %d keeps the daemon that it started", async (code) => {
  await plugins.add("plugin", { ADD: [leavesDaemon(), prints({}), exits(code)] });
  expect(await contained()(run("plugin"), untilDone)).toMatchObject({ exitCode: code });
  await expect.poll(left).toHaveLength(1);
});

describe("a plugin whose file is being replaced", () => {
  test("is tried again once the file is closed", async () => {
    await plugins.add("plugin");
    let writer: number | undefined = openSync(`${plugins.path}/plugin`, "r+");
    const clock = impatientClock(() => {
      if (writer !== undefined) closeSync(writer);
      writer = undefined;
    });
    expect(await contained(clock)(run("plugin"), untilDone)).toMatchObject({ exitCode: 0 });
    expect(clock.delays.filter((delay) => delay === 1000).length).toBeGreaterThan(0);
  });

  test("is tried six times, a second apart", async () => {
    const clock = impatientClock();
    let tries = 0;
    const exec: ExecPlugin = async () => {
      tries += 1;
      throw busy;
    };
    await expect(contained(clock, exec)(run("plugin"), untilDone)).rejects.toBe(busy);
    expect(tries).toBe(6);
    expect(clock.delays).toEqual([1000, 1000, 1000, 1000, 1000]);
  });

  test("isn't waited for once the signal aborted", async () => {
    const controller = new AbortController();
    const patient: Clock = { ...systemClock, setTimer: () => ({ [Symbol.dispose]: () => {} }) };
    const outcome = contained(patient, async () => {
      throw busy;
    })(run("plugin"), controller.signal);
    controller.abort(new Error("enough"));
    await expect(outcome).rejects.toThrow("enough");
  });
});
