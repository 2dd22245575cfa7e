import type { NodePrograms } from "../../src/client/cli/commands/agent.ts";
import type { ProvideCertificate } from "../../src/client/cli/commands/certificates.ts";
import type { TextSink } from "../../src/client/cli/io.ts";
import { runCli } from "../../src/client/cli/program.ts";
import { createNodeClient } from "../../src/client/node-client.ts";
import type { Clock } from "../../src/domain/clock.ts";
import type { NodeApi } from "../../src/domain/node-api.ts";

export interface Screen extends TextSink {
  readonly text: string;
}

export function createScreen(terminal?: { readonly columns: number }): Screen {
  let all = "";
  return {
    isTTY: terminal !== undefined,
    columns: terminal?.columns,
    get text() {
      return all;
    },
    write(text) {
      all += text;
    },
  };
}

export interface CliRun {
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly exitCode: Promise<number>;
  /** As Ctrl-C does. */
  interrupt(): void;
}

export interface CliWorld {
  /** Instead of a connection to `server`. */
  readonly api?: NodeApi;
  readonly server?: string;
  readonly terminal?: boolean;
  readonly noColor?: boolean;
  readonly stdin?: string;
  readonly clock?: Clock;
  readonly programs?: Partial<NodePrograms>;
  readonly certificates?: ProvideCertificate;
}

export const testClock: Clock = {
  now: () => new Date("2026-01-02T03:04:05Z"),
  steadyMs: () => 0,
  setTimer: () => ({ [Symbol.dispose]() {} }),
};

/** A command line run within the test, on streams that remember. */
export function startCli(args: readonly string[], world: CliWorld = {}): CliRun {
  const terminal = world.terminal ? { columns: 60 } : undefined;
  const stdout = createScreen(terminal);
  const stderr = createScreen(terminal);
  const interruption = new AbortController();
  const { api } = world;
  const exitCode = runCli(args, {
    io: {
      stdout,
      stderr,
      readStdin: () => Promise.resolve(world.stdin ?? ""),
      interruption: () => ({ signal: interruption.signal, exitCode: () => 130 }),
      clock: world.clock ?? testClock,
      pause: () => Promise.resolve(),
      env: { server: world.server, noColor: world.noColor ?? false },
    },
    version: "1.2.3",
    programs: {
      agent: () => Promise.resolve(0),
      server: () => Promise.resolve(0),
      controller: () => Promise.resolve(0),
      ...world.programs,
    },
    certificates: world.certificates ?? (() => Promise.reject(new Error("nothing is made here"))),
    ...(api && {
      connect: (options) => {
        // The options are checked as they always are.
        void createNodeClient(options);
        const close = (): Promise<void> => Promise.resolve();
        return Promise.resolve({ ...api, close, [Symbol.asyncDispose]: close });
      },
    }),
  });
  return { stdout, stderr, exitCode, interrupt: () => interruption.abort() };
}

/** The same, to its end. */
export async function cli(
  args: readonly string[],
  world: CliWorld = {},
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const run = startCli(args, world);
  const code = await run.exitCode;
  return { code, stdout: run.stdout.text, stderr: run.stderr.text };
}
