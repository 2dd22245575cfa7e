import { createHash, randomBytes } from "node:crypto";

/**
 * So much of RFC 6455 as a client needs that speaks to the API server. Pure:
 * bytes in, messages out, and the other way round.
 */

export const opcodes = {
  continuation: 0x0,
  text: 0x1,
  binary: 0x2,
  close: 0x8,
  ping: 0x9,
  pong: 0xa,
} as const;

const acceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export function newHandshakeKey(): string {
  return randomBytes(16).toString("base64");
}

/** What the server must answer to a handshake's key (section 4.2.2). */
export function handshakeAnswer(key: string): string {
  return createHash("sha1").update(`${key}${acceptSuffix}`).digest("base64");
}

/** One whole frame, masked as a client's are (section 5.3). */
export function clientFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 0x1_0000 ? 2 : 8;
  const frame = Buffer.alloc(2 + extra + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const mask = randomBytes(4);
  frame.set(mask, 2 + extra);
  const start = 2 + extra + 4;
  for (let at = 0; at < length; at += 1) frame[start + at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
  return frame;
}

export interface Message {
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Cuts a server's bytes into messages, fragments put together. Throws for what no server may send. */
export class MessageReader {
  readonly #maxBytes: number;
  #rest: Buffer = Buffer.alloc(0);
  #fragments: Buffer[] = [];
  #opcode: number = opcodes.continuation;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  read(chunk: Buffer): readonly Message[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Message[] = [];
    for (let frame = this.#nextFrame(); frame !== undefined; frame = this.#nextFrame()) {
      const message = this.#messageWith(frame);
      if (message !== undefined) messages.push(message);
    }
    return messages;
  }

  #nextFrame(): (Message & { readonly isLast: boolean }) | undefined {
    const rest = this.#rest;
    const [first, second] = rest;
    if (first === undefined || second === undefined) return undefined;
    if ((first & 0x70) !== 0)
      throw new Error("a WebSocket frame has bits of an extension that wasn't asked for");
    if ((second & 0x80) !== 0) throw new Error("a WebSocket server sent a masked frame");
    const short = second & 0x7f;
    const start = short < 126 ? 2 : short === 126 ? 4 : 10;
    if (rest.length < start) return undefined;
    const length =
      short < 126 ? short : short === 126 ? rest.readUInt16BE(2) : Number(rest.readBigUInt64BE(2));
    if (length > this.#maxBytes) throw new Error(`a WebSocket frame is longer than ${this.#maxBytes} bytes`);
    if (rest.length < start + length) return undefined;
    this.#rest = rest.subarray(start + length);
    return {
      opcode: first & 0xf,
      isLast: (first & 0x80) !== 0,
      payload: rest.subarray(start, start + length),
    };
  }

  /** Control frames may stand between the fragments of a message. */
  #messageWith({ opcode, isLast, payload }: Message & { readonly isLast: boolean }): Message | undefined {
    if (opcode >= opcodes.close) return { opcode, payload };
    if (opcode !== opcodes.continuation) {
      this.#opcode = opcode;
      this.#fragments = [];
    }
    this.#fragments.push(payload);
    const length = this.#fragments.reduce((sum, each) => sum + each.length, 0);
    if (length > this.#maxBytes)
      throw new Error(`a WebSocket message is longer than ${this.#maxBytes} bytes`);
    if (!isLast) return undefined;
    const message = { opcode: this.#opcode, payload: Buffer.concat(this.#fragments) };
    this.#fragments = [];
    return message;
  }
}
