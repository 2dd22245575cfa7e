import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { type Clock, pause } from "../domain/clock.ts";
import { messageOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { ReadIntent } from "./intent.ts";
import { readIntent } from "./read-intent.ts";

export interface IntentFileOptions {
  readonly path: string;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Contiv's intent as its file has it now, links followed. A file that can't be read is invalid, not empty. */
export interface IntentFile {
  readonly path: string;
  /** The same object for as long as the file says the same. */
  current(): ReadIntent;
  /** Tells of each change, within a few seconds of it, until `signal` aborts. */
  changes(signal: AbortSignal): AsyncIterable<ReadIntent>;
}

const lookEveryMs = 2_000;
const maxBytes = 16 * 1024 * 1024;

/**
 * How long a file must have been left alone for its stamp to tell of every
 * later change: a second one within the clock's tick may not show in it.
 */
const settledAfterMs = 2_000n;

export function openIntentFile({ path, clock, log }: IntentFileOptions): IntentFile {
  let stamp: string | undefined;
  let text: string | undefined;
  let read: ReadIntent = { kind: "invalid", faults: ["it wasn't looked at yet"] };

  function look(): void {
    try {
      const found = statSync(path, { bigint: true });
      const isSettled = BigInt(clock.now().getTime()) - found.mtimeNs / 1_000_000n > settledAfterMs;
      const nextStamp = isSettled ? stampOf(found) : undefined;
      if (nextStamp !== undefined && nextStamp === stamp) return;
      note(contentOf(found));
      stamp = nextStamp;
    } catch (error) {
      stamp = undefined;
      refuse(`it can't be read: ${messageOf(error)}`);
    }
  }

  // Reading any other kind would wait for a writer, or never end.
  function contentOf(found: BigIntStats): string {
    if (!found.isFile()) throw new Error("it isn't a regular file");
    if (found.size > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    return readFileSync(path, "utf8");
  }

  function note(content: string): void {
    if (content === text) return;
    text = content;
    read = readIntent(content);
    if (read.kind === "valid") log.info({ file: path, networks: read.intent.networks.length }, "intent read");
    else log.warn({ file: path, faults: read.faults }, "the intent can't be used; what is plugged stays");
  }

  function refuse(fault: string): void {
    text = undefined;
    if (read.kind === "invalid" && read.faults.length === 1 && read.faults[0] === fault) return;
    read = { kind: "invalid", faults: [fault] };
    log.warn({ file: path, faults: read.faults }, "the intent can't be used; what is plugged stays");
  }

  function current(): ReadIntent {
    look();
    return read;
  }

  return {
    path,
    current,
    async *changes(signal) {
      let told = current();
      while (!signal.aborted) {
        await pause(clock, lookEveryMs, signal);
        const now = current();
        if (now === told || signal.aborted) continue;
        told = now;
        yield now;
      }
    },
  };
}

function stampOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(":");
}
