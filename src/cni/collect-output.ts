import type { Readable } from "node:stream";

export interface CollectedOutput {
  /** What was read so far; grows. */
  readonly bytes: number;
  /** All of it as UTF-8. */
  text(): string;
}

/** Collects a stream's output; `onOverflow` is called once when it exceeds the bound, and what follows is dropped. */
export function collectOutput(stream: Readable, maxBytes: number, onOverflow: () => void): CollectedOutput {
  const chunks: Buffer[] = [];
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    if (bytes > maxBytes) return;
    bytes += chunk.length;
    chunks.push(chunk);
    if (bytes > maxBytes) onOverflow();
  });
  // A reset by a child that died is an end like any other: the exit says what happened.
  stream.on("error", () => stream.destroy());
  return {
    get bytes() {
      return bytes;
    },
    text: () => Buffer.concat(chunks).toString("utf8"),
  };
}
