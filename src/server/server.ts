import { createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import type { Caller } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { NodeApi } from "../domain/node-api.ts";
import { createAdmission } from "./admission.ts";
import type { Authenticator } from "./auth/contract.ts";
import { authenticateAnonymous } from "./auth/insecure-loopback.ts";
import { createSocketAuthenticator } from "./auth/unix-socket.ts";
import { translateErrors } from "./errors.ts";
import { createHealthService } from "./health.ts";
import { defaultLimits, type ServerLimits } from "./limits.ts";
import { listenOnLoopback, type TcpAddress } from "./listeners/loopback.ts";
import { createMux, type Mux } from "./listeners/mux.ts";
import { createRequestHandler } from "./listeners/request-handler.ts";
import { listenOnSocket, type SocketAddress } from "./listeners/unix-socket.ts";
import { serveNode } from "./node-service.ts";
import { serveReflection } from "./reflection.ts";
import { validateRequests } from "./validation.ts";

export interface ServerOptions {
  /** What a caller may reach; asked once for each call. */
  readonly apiFor: (caller: Caller) => NodeApi;
  readonly listen: { readonly socket?: SocketAddress | undefined; readonly tcp?: TcpAddress | undefined };
  readonly limits?: Partial<ServerLimits> | undefined;
  /** What a controller in a process of its own shows on the Unix socket; without one none is known there. */
  readonly controllerKey?: string | undefined;
  readonly log: Logger;
  readonly version: string;
}

export interface Server {
  readonly addresses: {
    readonly socket?: string | undefined;
    readonly tcp?: { readonly host: string; readonly port: number } | undefined;
  };
  /** What the health service says; not serving at first. */
  setServing(serving: boolean): void;
  /**
   * Takes nothing new, ends watchers with AGENT_STOPPING, gives the other
   * calls `drainMs` to finish and then cuts what is left. Resolves when every
   * connection is closed; called again, it answers the same.
   */
  close(drainMs: number): Promise<void>;
}

/** After the cut, for the last answers to leave. */
const farewellMs = 200;

/**
 * Serves NodeService, health and reflection by Connect, gRPC and gRPC-Web, on
 * a Unix socket, a TCP port of loopback, or both. Throws INVALID_CONFIGURATION
 * when it can't listen as asked, and then listens nowhere.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { listen, log, version } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const stopping = new AbortController();
  const cut = new AbortController();
  const health = createHealthService();
  const handlers = createHandlers({ ...options, limits, health, stopping: stopping.signal, cut: cut.signal });
  const muxes: Mux[] = [];
  const removals: (() => Promise<void>)[] = [];

  function createListener(transport: "unix" | "tcp", authenticate: Authenticator): Mux {
    const handler = createRequestHandler({ handlers, transport, authenticate, log, version });
    const mux = createMux({ handler, limits, log });
    muxes.push(mux);
    return mux;
  }

  async function close(drainMs: number): Promise<void> {
    const reason = new PodplugError("AGENT_STOPPING", "the agent is shutting down");
    health.setServing(false);
    stopping.abort(reason);
    const closed = Promise.all(muxes.map((mux) => mux.close()));
    if (!(await isDoneWithin(closed, drainMs))) {
      cut.abort(reason);
      await isDoneWithin(closed, farewellMs);
      for (const mux of muxes) mux.cut();
    }
    await closed;
    await Promise.all(removals.map((remove) => remove()));
  }

  try {
    const { socket, tcp } = listen;
    if (socket) {
      const listener = createListener("unix", createSocketAuthenticator(options.controllerKey));
      removals.push(await listenOnSocket(listener.server, socket));
    }
    const bound = tcp && (await listenOnLoopback(createListener("tcp", authenticateAnonymous).server, tcp));
    let closing: Promise<void> | undefined;
    return {
      addresses: { socket: socket?.path, tcp: bound },
      setServing: (serving) => health.setServing(serving),
      close: (drainMs) => (closing ??= close(drainMs)),
    };
  } catch (error) {
    await close(0);
    throw error;
  }
}

function createHandlers(options: {
  readonly apiFor: ServerOptions["apiFor"];
  readonly limits: ServerLimits;
  readonly health: ReturnType<typeof createHealthService>;
  readonly stopping: AbortSignal;
  readonly cut: AbortSignal;
  readonly log: Logger;
}): readonly UniversalHandler[] {
  const { apiFor, limits, health, stopping, cut, log } = options;
  const router = createConnectRouter({
    acceptCompression: [compressionGzip],
    readMaxBytes: limits.requestBytes,
    // A misspelt key must not be taken for one that wasn't given.
    jsonOptions: { ignoreUnknownFields: false },
  });
  const requestGate = createAdmission({ limits, stopping, log });
  // The first of them is the outermost.
  const interceptors = [translateErrors(log), validateRequests()];
  serveNode(router, {
    apiFor,
    maxDeadlineMs: limits.maxDeadlineMs,
    stopping,
    cut,
    call: { requestGate, interceptors },
  });
  health.serve(router, { shutdownSignal: stopping });
  serveReflection(router, [NodeService, Health], { shutdownSignal: stopping });
  return router.handlers;
}

async function isDoneWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
