import { randomInt } from "node:crypto";
import { constants } from "node:os";
import { PodplugError } from "../domain/errors.ts";
import type { Libc } from "./libc.ts";
import { type Dump, readBatch } from "./rtnetlink.ts";
import { describeErrno } from "./system-call.ts";

/**
 * Room for any one message: an attribute has at most 64 KiB, and only the
 * alternative names come near it. The kernel fills 32 KiB of it at a time.
 */
export const dumpBufferLength = 128 * 1024;

const reportTrueLength = 0x20;
const withoutWaiting = 0x40;

/**
 * A part this small was the dump's last: the kernel fills 16 KiB at least while
 * there is more. The end of the dump is in the socket by then, to be read
 * without the routing lock.
 */
const lastPartBytes = 4 * 1024;
const maxAttempts = 20;

/**
 * Everything of a kind in the socket's namespace, as it was at one instant: a
 * dump that the kernel marks as interrupted is asked for again. `buffer` is
 * scratch space, this call's alone until it settles.
 */
export async function readDump<T>(
  libc: Libc,
  socket: number,
  dump: Dump<T>,
  buffer: Uint8Array,
): Promise<readonly T[]> {
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const { entries, interrupted } = await readOnce(libc, socket, dump, buffer);
    if (!interrupted) return entries;
  }
  throw new PodplugError(
    "INTERNAL",
    `interfaces changed during each of ${maxAttempts} attempts to read them`,
  );
}

async function readOnce<T>(
  libc: Libc,
  socket: number,
  dump: Dump<T>,
  buffer: Uint8Array,
): Promise<{ readonly entries: readonly T[]; readonly interrupted: boolean }> {
  const sequence = randomInt(1, 2 ** 32);
  // Off the main thread: the kernel's routing lock may be held for long by
  // others, and a dump takes it when it begins and again for each part.
  const sent = await libc.send(socket, dump.request(sequence), 0);
  if (sent < 0) throw failure("ask for interfaces", sent);
  const entries: T[] = [];
  let interrupted = false;
  let before = Number.POSITIVE_INFINITY;
  for (;;) {
    let length =
      before <= lastPartBytes
        ? libc.recvNow(socket, buffer, reportTrueLength | withoutWaiting)
        : -constants.errno.EAGAIN;
    if (length === -constants.errno.EAGAIN) length = await libc.recv(socket, buffer, reportTrueLength);
    if (length === -constants.errno.EINTR) continue;
    before = length;
    if (length < 0) throw failure("read interfaces", length);
    if (length > buffer.byteLength) {
      throw new PodplugError("INTERNAL", `can't read interfaces: a message of ${length} bytes is too long`);
    }
    const batch = readBatch(buffer.subarray(0, length), sequence);
    if (batch.error !== 0) throw failure("read interfaces", batch.error);
    interrupted ||= batch.interrupted;
    for (const message of batch.messages) {
      const entry = dump.parse(message);
      if (entry !== undefined) entries.push(entry);
    }
    // An interrupted dump too must be read to its end before the next one.
    if (batch.done) return { entries, interrupted };
  }
}

function failure(doing: string, errno: number): PodplugError {
  const late = errno === -constants.errno.EAGAIN;
  const why = late ? "no answer from the kernel in time" : describeErrno(errno);
  return new PodplugError("INTERNAL", `can't ${doing}: ${why}`);
}
