import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { endProcesses, findMarkedProcesses } from "../../src/cni/processes.ts";
import { agentMarkerPrefix, newRunMarker } from "../../src/cni/run-marker.ts";
import { systemClock as clock } from "../../src/domain/clock.ts";
import { eventually } from "../server/eventually.ts";
import { impatientClock, untilDone } from "./runtime.ts";

let agentId: string;
let prefix: string;
const started: number[] = [];

beforeEach(() => {
  agentId = `agent-${crypto.randomUUID()}`;
  prefix = agentMarkerPrefix(agentId);
});
afterEach(() => {
  for (const pid of started.splice(0)) {
    if (isRunning(pid)) process.kill(pid, "SIGKILL");
  }
});

/** A process that sleeps, unless it is told otherwise. */
async function start(env: Record<string, string>, command?: string): Promise<number> {
  const child = spawn("/bin/sh", ["-c", `echo up; ${command ?? "exec sleep 1000"}`], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { PATH: "/usr/bin:/bin", ...env },
  });
  await once(child.stdout, "data");
  if (child.pid === undefined) throw new Error("not started");
  const { pid } = child;
  started.push(pid);
  if (command === undefined) await eventually(() => sleeps(pid), "it sleeps");
  return pid;
}

/** While one program becomes the other, no environment is there to be read. */
function sleeps(pid: number): boolean {
  const read = (file: string): string => readFileSync(`/proc/${pid}/${file}`, "utf8");
  return read("comm").trim() === "sleep" && read("environ") !== "";
}

const marked = (env: Record<string, string> = {}): Record<string, string> => ({
  PODPLUG_RUN: newRunMarker(agentId),
  ...env,
});

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("every process of an agent's runs is ended, and nobody else's", async () => {
  const mine = [await start(marked()), await start(marked())];
  const others = [
    await start({ PODPLUG_RUN: newRunMarker(`${agentId}2`) }),
    await start({ PODPLUG_RUN: newRunMarker(agentId.slice(0, -1)) }),
    await start({
      OTHER: `x\nPODPLUG_RUN=${prefix}1`,
      PODPLUG_RUN_: `${prefix}1`,
      XPODPLUG_RUN: `${prefix}1`,
    }),
    await start({}),
  ];
  const { ended, left } = await endProcesses(prefix, { clock }, untilDone);
  expect(left).toEqual([]);
  expect(ended.map(({ pid }) => pid).sort()).toEqual(mine.sort());
  expect(mine.map(isRunning)).toEqual([false, false]);
  expect(others.map(isRunning)).toEqual([true, true, true, true]);
});

test("a process is spared by what its environment says", async () => {
  const kept = await start(marked({ CNI_CONTAINERID: "a", CNI_IFNAME: "net1" }));
  const gone = await start(marked({ CNI_CONTAINERID: "b", CNI_IFNAME: "net1" }));
  await endProcesses(prefix, { clock, spare: ({ env }) => env["CNI_CONTAINERID"] === "a" }, untilDone);
  expect([isRunning(kept), isRunning(gone)]).toEqual([true, false]);
});

test("values with line breaks and equals signs are read as they are", async () => {
  const pid = await start(marked({ CNI_ARGS: "A=1;B=x\ny", EMPTY: "" }));
  const found = await findMarkedProcesses(prefix);
  expect(found).toEqual([{ pid, env: expect.objectContaining({ CNI_ARGS: "A=1;B=x\ny", EMPTY: "" }) }]);
});

test("processes that start others while they are ended are all ended", async () => {
  // Each lives for a moment only and hands on to the next.
  const relay = 'sleep 0.02; (setsid sh -c "$RELAY" &)';
  await start(marked({ RELAY: relay }), 'exec sh -c "$RELAY"');
  await endProcesses(prefix, { clock }, untilDone);
  expect(await findMarkedProcesses(prefix)).toEqual([]);
});

test("a process that doesn't end is told of after the time allowed", async () => {
  const pid = await start(marked({ CNI_CONTAINERID: "a" }));
  const spentClock = { ...impatientClock(), steadyMs: () => ticks.shift() ?? 20_000 };
  const ticks = [0];
  // Found once more after its end was asked for: the clock leaves no time to look again.
  const { ended, left } = await endProcesses(prefix, { clock: spentClock }, untilDone);
  expect(left).toMatchObject([{ pid, env: { CNI_CONTAINERID: "a" } }]);
  expect(ended).toEqual([]);
});

test("nothing to end is success", async () => {
  expect(await endProcesses(prefix, { clock }, untilDone)).toEqual({ ended: [], left: [] });
});

test("looking stops when the signal aborts", async () => {
  await start(marked());
  await expect(endProcesses(prefix, { clock }, AbortSignal.abort())).rejects.toMatchObject({
    reason: "CANCELED",
  });
});

test("the process that looks is never found", async () => {
  const script = `
    const { findMarkedProcesses, endProcesses } = await import(${JSON.stringify(import.meta.resolve("../../src/cni/processes.ts"))});
    const clock = { now: () => new Date(), steadyMs: () => performance.now(), setTimer: (ms, f) => { setTimeout(f, ms); return { [Symbol.dispose]() {} }; } };
    await endProcesses("self/", { clock }, new AbortController().signal);
    console.log(JSON.stringify(await findMarkedProcesses("self/")));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { PODPLUG_RUN: "self/1" },
  });
  const [output] = await once(child.stdout, "data");
  expect(String(output).trim()).toBe("[]");
});
