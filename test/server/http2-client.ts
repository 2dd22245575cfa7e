import type { Socket } from "node:net";
import { openRaw, type RawConnection } from "./started-server.ts";

// HTTP/2 by hand (RFC 9113), for what no client library would do.

export const frameType = { data: 0, headers: 1, reset: 3, settings: 4, continuation: 9 } as const;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

export const preface = Buffer.concat([
  Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  frame(frameType.settings, 0, 0),
]);

/** Literal headers without indexing or Huffman coding (RFC 7541, section 6.2.2). */
function headerBlock(headers: readonly (readonly [string, string])[]): Buffer {
  const literal = (text: string): Buffer => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)]);
  return Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), literal(name), literal(value)]));
}

/** The headers of a request to a method, with END_HEADERS; its body is still to come. */
export function requestHeaders(path: string, contentType: string, stream = 1): Buffer {
  const block = headerBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "localhost"],
    ["content-type", contentType],
    ["te", "trailers"],
  ]);
  return frame(frameType.headers, 0x4, stream, block);
}

/** A connection that acknowledges nothing, pings least of all. */
export function openHttp2(port: number): RawConnection & { readonly socket: Socket } {
  const raw = openRaw(port);
  raw.socket.write(preface);
  return raw;
}
