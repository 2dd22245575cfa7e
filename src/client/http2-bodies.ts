import type { ClientHttp2Stream } from "node:http2";
import { PassThrough, pipeline } from "node:stream";

/**
 * Reads an answer's body from its first byte on, for whoever iterates over it
 * later. Where HTTP/2 runs on a stream that isn't the kernel's, one piece of it
 * may hold a whole answer, and Node.js handles all of that before anybody can
 * begin to iterate: it then takes the body for lost, since its stream is closed
 * as far as the protocol goes.
 */
export function readBodyEarly(stream: ClientHttp2Stream): void {
  const body = new PassThrough();
  // Whoever iterates hears of the failure by the body.
  pipeline(stream, body, () => {});
  Object.defineProperty(stream, Symbol.asyncIterator, { value: () => body[Symbol.asyncIterator]() });
}
