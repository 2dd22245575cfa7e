import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { connect, type Socket } from "node:net";

/** Bytes of a client's frames (RFC 6455, section 5.2), as far as small clients send them. */
function* framesIn(state: { rest: Buffer }): Generator<{ opcode: number; payload: Buffer }> {
  for (;;) {
    const { rest } = state;
    if (rest.length < 2) return;
    const short = (rest[1] ?? 0) & 0x7f;
    const at = short === 126 ? 4 : short === 127 ? 10 : 2;
    if (rest.length < at) return;
    const length =
      short === 126 ? rest.readUInt16BE(2) : short === 127 ? Number(rest.readBigUInt64BE(2)) : short;
    if (((rest[1] ?? 0) & 0x80) === 0) throw new Error("a client's frame isn't masked");
    if (rest.length < at + 4 + length) return;
    const mask = rest.subarray(at, at + 4);
    const payload = Buffer.from(rest.subarray(at + 4, at + 4 + length));
    for (let index = 0; index < length; index += 1)
      payload[index] = (payload[index] ?? 0) ^ (mask[index % 4] ?? 0);
    state.rest = rest.subarray(at + 4 + length);
    yield { opcode: (rest[0] ?? 0) & 0xf, payload };
  }
}

function serverFrame(opcode: number, payload: Uint8Array, isLast = true): Buffer {
  const { length } = payload;
  const first = (isLast ? 0x80 : 0) | opcode;
  if (length < 126) return Buffer.concat([Buffer.of(first, length), payload]);
  const head = Buffer.alloc(length < 0x1_0000 ? 4 : 10);
  head[0] = first;
  head[1] = length < 0x1_0000 ? 126 : 127;
  if (length < 0x1_0000) head.writeUInt16BE(length, 2);
  else head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

const gatherMs = 5;
const data = 0;
const error = 1;

/** The kubelet's side of `pods/portforward` by WebSocket (v4.channel.k8s.io), to a port of this machine. */
export function forwardPort(request: IncomingMessage, socket: Socket, localPort: number | undefined): void {
  const answer = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  const head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"];
  socket.write(
    [...head, `Sec-WebSocket-Accept: ${answer}`, "Sec-WebSocket-Protocol: v4.channel.k8s.io", "", ""].join(
      "\r\n",
    ),
  );
  const send = (channel: number, bytes: Uint8Array): void => {
    socket.write(serverFrame(0x2, Buffer.concat([Buffer.of(channel), bytes])));
  };
  // The port that each channel is for, little-endian.
  send(data, Buffer.of(0xe6, 0x1d));
  send(error, Buffer.of(0xe6, 0x1d));
  if (localPort === undefined) {
    send(error, Buffer.from("an error occurred forwarding: connection refused"));
    socket.end(serverFrame(0x8, Buffer.alloc(0)));
    return;
  }
  const target = connect(localPort, "127.0.0.1");
  const state = { rest: Buffer.alloc(0) };
  socket.on("data", (chunk: Buffer) => {
    state.rest = Buffer.concat([state.rest, chunk]);
    for (const { opcode, payload } of framesIn(state)) {
      if (opcode === 0x8) target.end();
      if (opcode === 0x2 && payload[0] === data) target.write(payload.subarray(1));
    }
  });
  // A proxy far away hands on whatever has come meanwhile as one message.
  let waiting: Buffer[] = [];
  const flush = (): void => {
    if (waiting.length > 0) send(data, Buffer.concat(waiting));
    waiting = [];
  };
  target.on("data", (chunk: Buffer) => {
    if (waiting.push(chunk) === 1) setTimeout(flush, gatherMs);
  });
  target.on("close", () => {
    flush();
    socket.end(serverFrame(0x8, Buffer.alloc(0)));
  });
  target.on("error", () => socket.destroy());
  socket.on("close", () => target.destroy());
  socket.on("error", () => target.destroy());
}
