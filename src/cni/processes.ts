import { readFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import type { Clock } from "../domain/clock.ts";
import { systemCodeOf } from "../domain/errors.ts";
import { abortError } from "../domain/signals.ts";
import { runMarkerName } from "./run-marker.ts";
import { wait } from "./wait.ts";

/** A running process that carries a run marker. */
export interface MarkedProcess {
  readonly pid: number;
  /** Its environment as it was started: CNI_COMMAND, CNI_CONTAINERID, CNI_IFNAME, … */
  readonly env: Readonly<Record<string, string>>;
}

export interface EndedProcesses {
  readonly ended: readonly MarkedProcess[];
  /** Those that don't end: in an uninterruptible system call, or another user's; and those that kept coming. */
  readonly left: readonly MarkedProcess[];
}

export interface EndProcessesOptions {
  readonly clock: Clock;
  /** Processes to leave alone, such as what a completed ADD keeps running. */
  readonly spare?: ((process: MarkedProcess) => boolean) | undefined;
  /** How long to go on when processes don't end, or new ones keep coming; 10 s when absent. */
  readonly timeoutMs?: number | undefined;
}

interface Found extends MarkedProcess {
  readonly startTime: string;
}

const defaultTimeoutMs = 10_000;
const longestPauseMs = 100;

/**
 * How many looks in a row must find nothing. One isn't enough: a process that
 * was listed may start another and end before its turn to be looked at comes.
 */
const emptyLooks = 3;

/**
 * Ends (SIGKILL) every process whose run marker begins with `markerPrefix`,
 * never the caller itself, and looks again until none is left, or `timeoutMs`
 * has passed.
 */
export async function endProcesses(
  markerPrefix: string,
  { clock, spare = () => false, timeoutMs = defaultTimeoutMs }: EndProcessesOptions,
  signal: AbortSignal,
): Promise<EndedProcesses> {
  const ended = new Map<string, Found>();
  const deadline = clock.steadyMs() + timeoutMs;
  let pauseMs = 1;
  for (let empty = 0; empty < emptyLooks; ) {
    if (signal.aborted) throw abortError(signal, "ending plugin processes");
    const before = ended.size;
    const found = await endFound(markerPrefix, spare, ended);
    const left = found.length > 0 ? found : [...ended.values()].filter(isThere);
    if (left.length === 0) {
      empty += 1;
      continue;
    }
    if (clock.steadyMs() >= deadline) return outcomeOf([...ended.values()], left);
    empty = 0;
    pauseMs = ended.size > before ? 1 : Math.min(pauseMs * 2, longestPauseMs);
    await wait(clock, pauseMs, signal).catch(() => {
      throw abortError(signal, "ending plugin processes");
    });
  }
  return outcomeOf([...ended.values()], []);
}

function outcomeOf(signalled: readonly Found[], left: readonly Found[]): EndedProcesses {
  const plain = ({ pid, env }: Found): MarkedProcess => ({ pid, env });
  const pids = new Set(left.map(({ pid }) => pid));
  return { ended: signalled.filter(({ pid }) => !pids.has(pid)).map(plain), left: left.map(plain) };
}

/** Looks once; those that a signal was sent to are added to `ended`. */
async function endFound(
  markerPrefix: string,
  spare: (process: MarkedProcess) => boolean,
  ended: Map<string, Found>,
): Promise<readonly Found[]> {
  const found: Found[] = [];
  for await (const process of findProcesses(markerPrefix)) {
    if (spare(process)) continue;
    found.push(process);
    // At once, before it starts another one.
    if (end(process)) ended.set(`${process.pid}/${process.startTime}`, process);
  }
  return found;
}

/** Every process but the caller whose run marker begins with the prefix; those that vanish meanwhile are left out. */
export async function findMarkedProcesses(markerPrefix: string): Promise<readonly MarkedProcess[]> {
  const found = await Array.fromAsync(findProcesses(markerPrefix));
  return found.map(({ pid, env }) => ({ pid, env }));
}

async function* findProcesses(markerPrefix: string): AsyncGenerator<Found> {
  for (const name of await readdir("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const candidate = await inspect(pid, markerPrefix);
    if (candidate !== undefined) yield candidate;
  }
}

/** The process, if it carries the marker. One that is about to end has no environment any more, so it isn't found. */
async function inspect(pid: number, markerPrefix: string): Promise<Found | undefined> {
  try {
    const environ = await readFile(`/proc/${pid}/environ`, "latin1");
    // Cheap first: nearly no process is ours. A value may hold anything but a NUL, line breaks too.
    if (!`\0${environ}`.includes(`\0${runMarkerName}=${markerPrefix}`)) return undefined;
    const { startTime } = parseStat(await readFile(`/proc/${pid}/stat`, "latin1"));
    const again = await readFile(`/proc/${pid}/environ`, "latin1");
    // Unequal when the number passed to another process between the two reads.
    return again === environ ? { pid, startTime, env: parseEnviron(environ) } : undefined;
  } catch (error) {
    if (isGoneOrForeign(error)) return undefined;
    throw error;
  }
}

/** Whether a signal was sent. */
function end(found: Found): boolean {
  // Nothing runs in this process between the two calls, so the number can't have passed on meanwhile but by the
  // kernel handing out every other one first.
  if (!isThere(found)) return false;
  try {
    process.kill(found.pid, "SIGKILL");
    return true;
  } catch (error) {
    // EPERM: it is looked for again, and reported when it stays.
    if (isGoneOrForeign(error)) return false;
    throw error;
  }
}

/** Whether it still holds files and locks; a zombie doesn't, it only waits for its parent. */
function isThere({ pid, startTime }: Found): boolean {
  try {
    const stat = parseStat(readFileSync(`/proc/${pid}/stat`, "latin1"));
    return stat.startTime === startTime && !["Z", "X"].includes(stat.state);
  } catch (error) {
    if (isGoneOrForeign(error)) return false;
    throw error;
  }
}

/** Fields 3 and 22 of /proc/PID/stat; the second one may hold spaces and parentheses. */
function parseStat(stat: string): { readonly state: string; readonly startTime: string } {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTime: fields[19] ?? "" };
}

function parseEnviron(environ: string): Record<string, string> {
  const env = Object.create(null) as Record<string, string>;
  for (const entry of Buffer.from(environ, "latin1").toString("utf8").split("\0")) {
    const equals = entry.indexOf("=");
    // Of a name given twice, getenv sees the first.
    if (equals > 0) env[entry.slice(0, equals)] ??= entry.slice(equals + 1);
  }
  return env;
}

function isGoneOrForeign(error: unknown): boolean {
  return ["ENOENT", "ESRCH", "EACCES", "EPERM"].includes(systemCodeOf(error) ?? "");
}
