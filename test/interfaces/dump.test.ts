import { constants, endianness } from "node:os";
import { expect, test } from "vitest";
import { dumpBufferLength, readDump } from "../../src/interfaces/dump.ts";
import type { Libc } from "../../src/interfaces/libc.ts";
import { linkDump } from "../../src/interfaces/rtnetlink.ts";
import { failure } from "../support/failure.ts";

const littleEndian = endianness() === "LE";
const newLink = 16;
const errorMessage = 2;
const done = 3;
const interrupted = 0x10;

type Answer = number | ((sequence: number) => Uint8Array);

/** A kernel that answers each receive with the next of these: an errno or a datagram. */
function kernelAnswering(answers: readonly Answer[]): {
  libc: Libc;
  asked: () => number;
  left: () => number;
} {
  const script = [...answers];
  let requests = 0;
  let sequence = 0;
  const receive = (buffer: Uint8Array): number => {
    const answer = script.shift();
    if (answer === undefined) return -constants.errno.EAGAIN;
    if (typeof answer === "number") return answer;
    const bytes = answer(sequence);
    buffer.set(bytes);
    return bytes.byteLength;
  };
  const unused = (): never => expect.unreachable("not part of a dump");
  return {
    asked: () => requests,
    left: () => script.length,
    libc: {
      setns: unused,
      socket: unused,
      connect: unused,
      setsockopt: unused,
      getsockopt: unused,
      close: unused,
      async send(_fd, message) {
        requests += 1;
        sequence = new DataView(message.buffer).getUint32(8, littleEndian);
        return message.byteLength;
      },
      recv: async (_fd, buffer) => receive(buffer),
      recvNow: (_fd, buffer) => receive(buffer),
      recvMessageNow: unused,
      onReadable: unused,
    },
  };
}

function datagram(type: number, sequence: number, flags: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + payload.byteLength);
  const header = new DataView(bytes.buffer);
  header.setUint32(0, bytes.byteLength, littleEndian);
  header.setUint16(4, type, littleEndian);
  header.setUint16(6, flags, littleEndian);
  header.setUint32(8, sequence, littleEndian);
  bytes.set(payload, 16);
  return bytes;
}

function link(index: number): Uint8Array {
  const payload = new DataView(new ArrayBuffer(16));
  payload.setInt32(4, index, littleEndian);
  return new Uint8Array(payload.buffer);
}

function errno(value: number): Uint8Array {
  const payload = new DataView(new ArrayBuffer(4));
  payload.setInt32(0, value, littleEndian);
  return new Uint8Array(payload.buffer);
}

const linkAnswer =
  (index: number, flags = 0): Answer =>
  (sequence) =>
    datagram(newLink, sequence, flags, link(index));
const doneAnswer: Answer = (sequence) => datagram(done, sequence, 0, errno(0));

const read = (libc: Libc): Promise<readonly { readonly index: number }[]> =>
  readDump(libc, 3, linkDump(), new Uint8Array(dumpBufferLength));

test("a dump in several datagrams is one list", async () => {
  const both: Answer = (sequence) =>
    Buffer.concat([datagram(newLink, sequence, 0, link(8)), datagram(done, sequence, 0, errno(0))]);
  const kernel = kernelAnswering([linkAnswer(7), both]);
  expect((await read(kernel.libc)).map(({ index }) => index)).toEqual([7, 8]);
});

test("an interrupted dump is read to its end and asked for again", async () => {
  const kernel = kernelAnswering([
    linkAnswer(1),
    linkAnswer(2, interrupted),
    doneAnswer,
    linkAnswer(3),
    doneAnswer,
  ]);
  expect((await read(kernel.libc)).map(({ index }) => index)).toEqual([3]);
  expect(kernel.asked()).toBe(2);
  expect(kernel.left()).toBe(0);
});

test("a dump that is always interrupted fails in the end", async () => {
  const kernel = kernelAnswering(
    Array.from({ length: 100 }, () => [linkAnswer(1, interrupted), doneAnswer]).flat(),
  );
  await expect(read(kernel.libc)).rejects.toEqual(failure("INTERNAL"));
});

test("a message that answers another request is passed over", async () => {
  const foreign: Answer = (sequence) => datagram(newLink, sequence ^ 1, 0, link(66));
  const foreignEnd: Answer = (sequence) => datagram(done, sequence ^ 1, 0, errno(0));
  const kernel = kernelAnswering([foreign, foreignEnd, linkAnswer(5), doneAnswer]);
  expect((await read(kernel.libc)).map(({ index }) => index)).toEqual([5]);
});

test("a receive that a signal interrupted is made again", async () => {
  const kernel = kernelAnswering([-constants.errno.EINTR, linkAnswer(5), doneAnswer]);
  expect(await read(kernel.libc)).toHaveLength(1);
});

test("the kernel's refusal, at once or at the end, fails with its errno's name", async () => {
  const refusal: Answer = (sequence) => datagram(errorMessage, sequence, 0, errno(-constants.errno.EPERM));
  const brokenEnd: Answer = (sequence) => datagram(done, sequence, 0, errno(-constants.errno.ENOMEM));
  await expect(read(kernelAnswering([refusal]).libc)).rejects.toEqual(failure("INTERNAL", "EPERM"));
  await expect(read(kernelAnswering([linkAnswer(1), brokenEnd]).libc)).rejects.toEqual(
    failure("INTERNAL", "ENOMEM"),
  );
});

test("a kernel that falls silent fails instead of hanging", async () => {
  await expect(read(kernelAnswering([linkAnswer(1)]).libc)).rejects.toEqual(
    failure("INTERNAL", "no answer from the kernel in time"),
  );
});

test("a message longer than the buffer fails instead of answering in part", async () => {
  await expect(read(kernelAnswering([dumpBufferLength + 1]).libc)).rejects.toEqual(
    failure("INTERNAL", `${dumpBufferLength + 1} bytes`),
  );
});

test("nonsense in a datagram ends its reading, not the process", async () => {
  const nonsense: Answer = () => new Uint8Array(64).fill(0xff);
  const stump: Answer = () => new Uint8Array(7);
  const kernel = kernelAnswering([nonsense, stump, linkAnswer(4), doneAnswer]);
  expect(await read(kernel.libc)).toMatchObject([{ index: 4, name: "", mac: "", mtu: 0 }]);
});
