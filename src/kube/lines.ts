import { PodplugError } from "../domain/errors.ts";

/** Cuts a byte stream into lines, however it arrives; a last one without its end isn't a line. */
export class LineCutter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** INTERNAL once a line is too long. */
  *cut(chunk: Buffer): Generator<string> {
    let rest = chunk;
    for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a)) {
      this.#keep(rest.subarray(0, end));
      rest = rest.subarray(end + 1);
      const line = Buffer.concat(this.#parts).toString("utf8");
      this.#parts = [];
      this.#bytes = 0;
      if (line.trim() !== "") yield line;
    }
    if (rest.length > 0) this.#keep(rest);
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) {
      throw new PodplugError("INTERNAL", `the API server sends a line longer than ${this.#maxBytes} bytes`);
    }
    this.#parts.push(part);
  }
}
