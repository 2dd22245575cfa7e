import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import type { Server, Socket } from "node:net";
import type { Logger } from "../../domain/log.ts";
import { type ServerLimits, sweepIntervalMs } from "../limits.ts";
import { createExchanges, type NodeRequest, type NodeResponse } from "./exchanges.ts";
import { createHttp2Sessions } from "./http2-sessions.ts";
import type { Opening } from "./opening.ts";

export type NodeHandler = (request: NodeRequest, response: NodeResponse) => void;

export interface Mux {
  /** Not listening yet: where it listens is the caller's business. */
  readonly server: Server;
  /** Takes no more connections, ends those without a call; resolves when all are closed. */
  close(): Promise<void>;
  /** Ends every connection at once. */
  cut(): void;
}

const closingIntervalMs = 250;

/** One server that speaks HTTP/1.1 and HTTP/2 on the same port. */
export function createMux(options: {
  readonly open: Opening;
  readonly handler: NodeHandler;
  readonly limits: ServerLimits;
  /** Connections are for one HTTP/1.1 request each, and too many cost the oldest, not the newest: whoever holds some keeps nobody out. */
  readonly brief?: boolean;
  readonly log: Logger;
}): Mux {
  const { open, handler, limits, brief = false, log } = options;
  const sockets = new Set<Socket>();
  const unknown = new Set<Socket>();
  const sessions = createHttp2Sessions(limits);
  const exchanges = createExchanges(limits);
  if (brief) exchanges.close();
  const handle: NodeHandler = (request, response) => {
    exchanges.track(request, response);
    handler(request, response);
  };

  const http1 = createHttp1Server(
    {
      maxHeaderSize: limits.headerBytes,
      headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.idleTimeoutMs,
      connectionsCheckingInterval: sweepIntervalMs(limits),
    },
    handle,
  );
  // A server that doesn't listen itself enforces none of these timeouts until it believes it does.
  http1.emit("listening");

  const http2 = createHttp2Server(
    {
      settings: {
        maxConcurrentStreams: limits.streamsPerConnection,
        maxHeaderListSize: limits.headerBytes,
      },
      streamResetBurst: limits.streamResetBurst,
      streamResetRate: limits.streamResetsPerSecond,
    },
    handle,
  );
  http2.on("session", (session) => sessions.track(session));

  let sweeps: NodeJS.Timeout | undefined;

  /** Looks at the clocks of what is open; without connections an idle agent sleeps. */
  function sweep(): void {
    const now = performance.now();
    sessions.sweep(now);
    exchanges.sweep(now);
  }

  function hold(socket: Socket): void {
    sockets.add(socket);
    sweeps ??= setInterval(sweep, sweepIntervalMs(limits));
    socket.once("close", () => {
      sockets.delete(socket);
      if (sockets.size > 0) return;
      clearInterval(sweeps);
      sweeps = undefined;
    });
    // A connection that breaks also closes; what ran on it hears of that.
    socket.on("error", (error) => log.debug({ err: error }, "connection broke"));
  }

  function makeRoom(): void {
    const [oldest] = sockets;
    if (sockets.size <= limits.connections || !oldest) return;
    log.debug({ connections: limits.connections }, "the oldest connection is cut, too many are open");
    // It says that it is closed only later, when others may have come.
    sockets.delete(oldest);
    oldest.destroy();
  }

  const server = open({
    limits,
    log,
    onProtocol(socket, protocol, raw) {
      unknown.delete(raw);
      if (socket !== raw) hold(socket);
      if (protocol === "http/2") {
        // A client that has said its last byte can still get an answer in
        // HTTP/1.1; an HTTP/2 session ends with it.
        socket.allowHalfOpen = false;
        http2.emit("connection", socket);
      } else {
        http1.emit("connection", socket);
        socket.resume();
      }
    },
  });
  server.on("connection", (raw: Socket) => {
    hold(raw);
    unknown.add(raw);
    raw.once("close", () => unknown.delete(raw));
    raw.setKeepAlive(true, limits.tcpKeepAliveMs);
    if (brief) makeRoom();
  });
  if (!brief) server.maxConnections = limits.connections;
  server.on("drop", () =>
    log.debug({ connections: limits.connections }, "connection refused, too many are open"),
  );
  server.once("listening", () => {
    // Without a listener, an accept that fails (no file descriptors left) would end the process.
    server.on("error", (error) => log.error({ err: error }, "accepting a connection failed"));
  });

  return {
    server,
    async close() {
      const closed = Promise.withResolvers<void>();
      // Calls back when the last connection is closed, too.
      server.close(() => closed.resolve());
      exchanges.close();
      sessions.close();
      http1.closeIdleConnections();
      // Those that still answer fall idle one by one.
      const closing = setInterval(() => http1.closeIdleConnections(), closingIntervalMs);
      for (const socket of unknown) socket.destroy();
      await closed.promise;
      clearInterval(closing);
      http1.close();
    },
    cut() {
      sessions.destroy();
      for (const socket of sockets) socket.destroy();
    },
  };
}
