import type { Readable } from "node:stream";
import type { PluginRun } from "./exec-plugin.ts";

/** A program that was started, in a session and process group of its own whose number is `pid`. */
export interface Child {
  readonly pid: number;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Never rejects. Until it resolves, `pid` is no other process's. */
  readonly ended: Promise<ChildEnd>;
}

/** One of both is null. */
export interface ChildEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/**
 * Starts a program in `/`, or rejects with an error that has Node's `code`
 * (ETXTBSY, EACCES, …). The program runs by the time the promise is there: it
 * belongs to the namespaces that the thread is in at the call.
 */
export type StartChild = (run: PluginRun) => Promise<Child>;
