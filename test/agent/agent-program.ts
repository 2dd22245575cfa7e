import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import type { RunningAgent } from "../../src/agent.ts";
import { type Reason, reasons } from "../../src/domain/reasons.ts";
import type { LogLine } from "../support/recording-log.ts";

/** What the agent's log must be for these to read it: part of a node's configuration. */
export const readableLog = { log: { level: "info", format: "json" } };

export interface ProgramEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** `podplug agent`, as its users start it, from its first moment on. */
export interface LaunchedProgram extends AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<ProgramEnd>;
  log(): readonly LogLine[];
  /** Resolves once it logs the message; throws with what it said when it ends instead. */
  logs(message: string): Promise<LogLine>;
  kill(signal: NodeJS.Signals): void;
}

/** One that serves. */
export interface AgentProgram extends LaunchedProgram {
  readonly addresses: RunningAgent["addresses"];
}

const podplug = join(import.meta.dirname, "../../bin/podplug");

/** Resolves once it serves; throws with what it said when it ends instead. `before` is a command that runs it, `command` which of the programs. */
export async function startAgentProgram(
  configFile: string,
  before: readonly string[] = [],
  command: readonly string[] = ["agent"],
): Promise<AgentProgram> {
  return await serving(launchAgentProgram(configFile, before, command));
}

/** The same of a program that is given whole, such as bin/podagent with its flags. */
export async function startProgram(commandLine: CommandLine): Promise<AgentProgram> {
  return await serving(launch(commandLine));
}

export function launchAgentProgram(
  configFile: string,
  before: readonly string[] = [],
  command: readonly string[] = ["agent"],
): LaunchedProgram {
  return launch([...before, podplug, ...command, "--config", configFile]);
}

async function serving(launched: LaunchedProgram): Promise<AgentProgram> {
  const { facts } = await launched.logs("serving");
  return { ...launched, addresses: facts };
}

function launch(commandLine: CommandLine): LaunchedProgram {
  const { child, ended, said, nextLine } = start(commandLine);
  return {
    pid: child.pid ?? 0,
    ended,
    log: () => linesOf(said()),
    async logs(message) {
      for (;;) {
        const line = linesOf(said()).find((each) => each.message === message);
        if (line) return line;
        const end = await Promise.race([nextLine(), ended]);
        if (end) throw new Error(`the agent ended instead of saying "${message}": ${JSON.stringify(end)}`);
      }
    },
    kill: (signal) => void child.kill(signal),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

/** For an agent that is to end by itself. */
export async function runAgentProgram(
  configFile: string,
  before: readonly string[] = [],
): Promise<ProgramEnd> {
  return await start([...before, podplug, "agent", "--config", configFile]).ended;
}

type CommandLine = readonly string[];

function start([program = "", ...args]: CommandLine) {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  let wake = Promise.withResolvers<undefined>();
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
    wake.resolve(undefined);
    wake = Promise.withResolvers();
  });
  return { child, ended: endOf(child, () => stderr), said: () => stderr, nextLine: () => wake.promise };
}

async function endOf(child: ChildProcess, stderr: () => string): Promise<ProgramEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<ProgramEnd>();
  child.once("error", reject);
  child.once("close", (code, signal) => resolve({ code, signal, stderr: stderr() }));
  return await promise;
}

/** The whole lines that are JSON; others are what isn't logged. */
function linesOf(stderr: string): readonly LogLine[] {
  return stderr
    .split("\n")
    .slice(0, -1)
    .filter((line) => line.startsWith("{"))
    .map((line) => {
      const { level, msg, time: _time, ...facts } = JSON.parse(line) as Record<string, unknown>;
      return { level: String(level), message: String(msg), facts };
    });
}

/** What an agent that doesn't start says: what failed, the word to look up, what to do. */
export function toldOf(reason: Reason, message: string): string {
  return `podplug agent: ${message}\n  reason     ${reason}\n  next step  ${reasons[reason].cure}\n`;
}
