import { rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";

/** A way to a Unix socket that can be broken while connections are open, as when its server goes away. */
export interface BreakableSocket extends AsyncDisposable {
  readonly path: string;
  /** Cuts every connection and takes the socket away. */
  breakOff(): Promise<void>;
  restore(): Promise<void>;
}

export async function makeBreakableSocket(path: string, to: string): Promise<BreakableSocket> {
  const open = new Set<Socket>();
  let server: Server | undefined;

  async function restore(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server = createServer((near) => join(near, connect(to)));
    server.once("error", reject).listen(path, resolve);
    await promise;
  }

  function join(near: Socket, far: Socket): void {
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(socket);
      // One that fails closes too.
      socket.on("error", () => {});
      socket.once("close", () => {
        open.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  }

  async function breakOff(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!server?.listening) return;
    server.close(() => resolve());
    for (const socket of open) socket.destroy();
    await promise;
    await rm(path, { force: true });
  }

  await restore();
  return { path, breakOff, restore, [Symbol.asyncDispose]: breakOff };
}
