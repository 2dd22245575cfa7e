import type { Clock } from "../../domain/clock.ts";

/** Where text goes; a terminal or not. */
export interface TextSink {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Somebody's wish that the program ends: Ctrl-C, or a signal. */
export interface Interruption {
  readonly signal: AbortSignal;
  /** 128 and the signal's number, once `signal` has aborted. */
  exitCode(): number;
}

/** All that the commands know of the process they run in. */
export interface CliIo {
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  /** The whole of standard input, as text. */
  readStdin(): Promise<string>;
  /** Begins to listen for signals: a command that never calls it is ended by them as usual. */
  interruption(): Interruption;
  readonly clock: Clock;
  /** Lets time pass until `signal` aborts; unlike the clock's timers it keeps the process alive. */
  pause(delayMs: number, signal: AbortSignal): Promise<void>;
  readonly env: CliEnvironment;
}

/** What the environment says, as far as the commands care. */
export interface CliEnvironment {
  /** PODPLUG_SERVER. */
  readonly server?: string | undefined;
  /** NO_COLOR is set, or the terminal can't show colours. */
  readonly noColor: boolean;
}

export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;
