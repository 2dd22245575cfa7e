import { constants } from "node:os";
import { text } from "node:stream/consumers";
import type { CliEnvironment, CliIo, Interruption } from "./client/cli/io.ts";
import { pause, systemClock } from "./domain/clock.ts";

/** The process that podplug runs in, as its commands see it. */
export function createProcessIo(host: NodeJS.Process, env: CliEnvironment): CliIo {
  endWithReader(host);
  let interruption: Interruption | undefined;
  return {
    stdout: host.stdout,
    stderr: host.stderr,
    readStdin: () => text(host.stdin),
    interruption: () => {
      interruption ??= listenForSignals(host);
      return interruption;
    },
    clock: systemClock,
    async pause(delayMs, signal) {
      using _alive = keptAlive();
      await pause(systemClock, delayMs, signal);
    },
    env,
  };
}

/** The clock's timers let a process end that only waits for them. */
function keptAlive(): Disposable {
  const timer = setInterval(() => {}, 0x7fff_ffff);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

function listenForSignals(host: NodeJS.Process): Interruption {
  const controller = new AbortController();
  let exitCode = 0;
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    // Once: a second Ctrl-C ends a program that doesn't end by itself.
    host.once(name, () => {
      exitCode = 128 + constants.signals[name];
      controller.abort();
    });
  }
  return { signal: controller.signal, exitCode: () => exitCode };
}

/** `podplug watch | head` ends with head, and as quietly as any program that SIGPIPE ends. */
function endWithReader(host: NodeJS.Process): void {
  const onError = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE") throw error;
    host.exit(128 + constants.signals.SIGPIPE);
  };
  host.stdout.on("error", onError);
  host.stderr.on("error", onError);
}
