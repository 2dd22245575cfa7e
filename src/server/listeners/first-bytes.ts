import type { Socket } from "node:net";

export type Protocol = "http/1.1" | "http/2";

// RFC 9113, section 3.4: what every HTTP/2 client sends first.
const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Reads as few bytes of a new connection as tell whether it speaks HTTP/1.1
 * or HTTP/2, gives them back to the socket and calls `onProtocol` with the
 * socket paused. A connection that ends, fails or says too little within
 * `timeoutMs` is destroyed.
 */
export function readFirstBytes(
  socket: Socket,
  timeoutMs: number,
  onProtocol: (protocol: Protocol) => void,
): void {
  let seen: Buffer = Buffer.alloc(0);
  const timer = setTimeout(giveUp, timeoutMs);
  socket.on("data", onData).once("end", giveUp).once("close", stop);

  function onData(chunk: Buffer): void {
    seen = Buffer.concat([seen, chunk]);
    const length = Math.min(seen.length, preface.length);
    const isPreface = seen.subarray(0, length).equals(preface.subarray(0, length));
    if (isPreface && length < preface.length) return;
    stop();
    socket.pause();
    socket.unshift(seen);
    onProtocol(isPreface ? "http/2" : "http/1.1");
  }
  function giveUp(): void {
    stop();
    socket.destroy();
  }
  function stop(): void {
    clearTimeout(timer);
    socket.off("data", onData).off("end", giveUp).off("close", stop);
  }
}
