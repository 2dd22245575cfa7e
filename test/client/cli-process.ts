import { spawn } from "node:child_process";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export const root = join(import.meta.dirname, "../..");

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningPodplug {
  readonly process: ReturnType<typeof spawn>;
  readonly ended: Promise<Ended>;
  /** All of standard output so far. */
  stdout(): string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** The program as a process of its own, from the sources. */
export function startPodplug(args: readonly string[], options?: RunOptions): RunningPodplug {
  return start(process.execPath, [mainFile, ...args], options);
}

/** The same on a terminal of its own, whose screen is what standard output gets. */
export function startOnTerminal(args: readonly string[], options?: RunOptions): RunningPodplug {
  const line = [process.execPath, mainFile, ...args].map((word) => `'${word}'`).join(" ");
  return start("script", ["-qec", line, "/dev/null"], options);
}

const mainFile = join(root, "src/main.ts");

function start(
  command: string,
  args: readonly string[],
  { env = {}, stdin = "" }: RunOptions = {},
): RunningPodplug {
  const child = spawn(command, args, {
    env: { PATH: process.env["PATH"], ...env },
    timeout: 100_000,
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    stdout += chunk;
  });
  // It may end without reading.
  child.stdin.on("error", () => {}).end(stdin);
  const stderr = text(child.stderr);
  const { promise, resolve, reject } = Promise.withResolvers<Ended>();
  child.once("error", reject);
  child.once("close", (code) => {
    void stderr.then((said) => resolve({ code, stdout, stderr: said }), reject);
  });
  return { process: child, ended: promise, stdout: () => stdout };
}

export function podplug(args: readonly string[], options?: RunOptions): Promise<Ended> {
  return startPodplug(args, options).ended;
}
