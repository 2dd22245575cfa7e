import { closeSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import type { Logger } from "../domain/log.ts";
import type { Child, ChildEnd, StartChild } from "./child.ts";
import { Children } from "./children.ts";
import { startNodeChild } from "./node-child.ts";
import { loadPosixSpawn, type PosixSpawn } from "./posix-spawn.ts";
import { openStdinFile } from "./stdin-file.ts";

/** posix_spawn where it can be had, else Node's own way. */
export async function createFastestStart(log: Logger): Promise<StartChild> {
  try {
    return createPosixStart(await loadPosixSpawn());
  } catch (error) {
    log.warn({ err: error }, "plugins are started by Node, slower: there is no native code for this machine");
    return startNodeChild;
  }
}

/** Starts programs by posix_spawn, with true pipes for their output. */
export function createPosixStart(native: PosixSpawn): StartChild {
  const children = new Children(native);

  return async (run): Promise<Child> => {
    const input = openStdinFile(run.stdin);
    // Node feeds a pipe as the program reads it.
    if (input === undefined) return await startNodeChild(run);
    using theirs = new DisposableStack();
    using ours = new DisposableStack();
    theirs.defer(() => closeSync(input));
    // Each as soon as it is there: the next may find no descriptor left.
    const openPipe = (): { readonly read: number; readonly write: number } => {
      const pipe = native.pipe();
      theirs.defer(() => closeSync(pipe.write));
      ours.defer(() => closeSync(pipe.read));
      return pipe;
    };
    const stdout = openPipe();
    const stderr = openPipe();
    const pid = native.spawn({ ...run, stdio: [input, stdout.write, stderr.write] });
    ours.move();
    return {
      pid,
      ended: children.ended(pid).then(toChildEnd),
      stdout: readerOf(stdout.read),
      stderr: readerOf(stderr.read),
    };
  };
}

function readerOf(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false });
}

function toChildEnd(end: { readonly exitCode: number } | { readonly signal: number }): ChildEnd {
  if ("exitCode" in end) return { exitCode: end.exitCode, signal: null };
  const name = Object.entries(constants.signals).find(([, number]) => number === end.signal)?.[0];
  return { exitCode: null, signal: (name ?? `SIG${end.signal}`) as NodeJS.Signals };
}
