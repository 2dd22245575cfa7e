import { randomInt } from "node:crypto";
import { constants } from "node:os";
import { PodplugError } from "../domain/errors.ts";
import type { Libc } from "./libc.ts";
import { openRouteSocket } from "./netns.ts";
import { askNsidRequest, giveNsidRequest, readNsid } from "./nsid-message.ts";
import { type Batch, readBatch } from "./rtnetlink.ts";
import { describeErrno } from "./system-call.ts";

const { errno } = constants;
const answerTimeoutMs = 5_000;
const answerLength = 512;

/**
 * The number by which this thread's namespace knows the one behind an open
 * file; it gets one when it has none. It keeps nothing alive and goes with the
 * namespace.
 */
export async function nsidOf(netnsFd: number, libc: Libc): Promise<number> {
  const socket = openRouteSocket(libc, answerTimeoutMs);
  try {
    const given = await ask(socket, libc, (sequence) => giveNsidRequest(netnsFd, sequence));
    if (given.error !== 0 && given.error !== -errno.EEXIST) throw failure(given.error);
    const { error, messages } = await ask(socket, libc, (sequence) => askNsidRequest(netnsFd, sequence));
    const [answer] = messages;
    const nsid = answer && readNsid(answer.payload);
    if (nsid === undefined) throw failure(error);
    return nsid;
  } finally {
    libc.close(socket);
  }
}

async function ask(
  socket: number,
  libc: Libc,
  request: (sequence: number) => Uint8Array,
): Promise<Pick<Batch, "messages" | "error">> {
  const sequence = randomInt(1, 2 ** 32);
  const sent = await libc.send(socket, request(sequence), 0);
  if (sent < 0) throw failure(sent);
  const buffer = new Uint8Array(answerLength);
  for (;;) {
    const length = await libc.recv(socket, buffer, 0);
    if (length === -errno.EINTR) continue;
    if (length < 0) throw failure(length);
    const { messages, done, error } = readBatch(buffer.subarray(0, length), sequence);
    if (done || messages.length > 0) return { messages, error };
  }
}

function failure(result: number): PodplugError {
  return new PodplugError("UNSUPPORTED", `the kernel gives a namespace no number: ${describeErrno(result)}`);
}
