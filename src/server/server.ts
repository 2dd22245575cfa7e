import { createConnectRouter } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import type { Caller } from "../domain/attachment.ts";
import { PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import type { NodeApi } from "../domain/node-api.ts";
import type { NetworkSource } from "../domain/selection.ts";
import type { Target } from "../domain/target.ts";
import { silentTelemetry, type Telemetry } from "../domain/telemetry.ts";
import { type Admission, type Admitted, createAdmission, type Door } from "./admission.ts";
import { type Audit, createAudit } from "./audit.ts";
import { authenticateAnonymous } from "./auth/insecure-loopback.ts";
import { createTlsDoor, type TlsAddress } from "./auth/tls-door.ts";
import { createSocketAuthenticator } from "./auth/unix-socket.ts";
import { authorize } from "./authorize.ts";
import { markComplete, noteCalls } from "./calls.ts";
import { translateErrors } from "./errors.ts";
import { createHealthService } from "./health.ts";
import { defaultLimits, type ServerLimits } from "./limits.ts";
import { type BoundAddress, bindTcp } from "./listeners/bind.ts";
import { listenOnLoopback, type TcpAddress } from "./listeners/loopback.ts";
import { createMux, type Mux } from "./listeners/mux.ts";
import { type Opening, openPlain, openTls } from "./listeners/opening.ts";
import { createRequestHandler } from "./listeners/request-handler.ts";
import type { Page } from "./listeners/text-answer.ts";
import { followTlsKeys } from "./listeners/tls-keys.ts";
import { listenOnSocket, type SocketAddress } from "./listeners/unix-socket.ts";
import { createMetricsPage } from "./metrics-page.ts";
import { serveNode } from "./node-service.ts";
import { serveReflection } from "./reflection.ts";
import { validateRequests } from "./validation.ts";

export interface ServerOptions {
  /** What a caller may reach; asked once for each call. */
  readonly apiFor: (caller: Caller) => NodeApi;
  readonly listen: {
    readonly socket?: SocketAddress | undefined;
    readonly tcp?: TcpAddress | undefined;
    readonly tls?: TlsAddress | undefined;
  };
  /** Where the node looks networks up: what they need permissions for. */
  readonly sources?: readonly NetworkSource[] | undefined;
  /** Where an attachment is, by its ID. */
  readonly targetOf: (attachmentId: string) => Target | undefined;
  readonly limits?: Partial<ServerLimits> | undefined;
  /** What a controller in a process of its own shows on the Unix socket; without one none is known there. */
  readonly controllerKey?: string | undefined;
  readonly log: Logger;
  /** Where calls that change something, and those that are refused, are told; the log when absent. */
  readonly audit?: Logger | undefined;
  readonly telemetry?: Telemetry | undefined;
  /** For /metrics, for callers that may get it; absent for none. */
  readonly metrics?: (() => Promise<Page>) | undefined;
  readonly version: string;
}

export interface Server {
  readonly addresses: {
    readonly socket?: string | undefined;
    readonly tcp?: BoundAddress | undefined;
    readonly tls?: BoundAddress | undefined;
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
 * a Unix socket, a TCP port of loopback and one with TLS, as asked. Throws
 * INVALID_CONFIGURATION or ADDRESS_UNAVAILABLE when it can't, and then listens nowhere.
 */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { listen, log, telemetry = silentTelemetry, version } = options;
  const limits = { ...defaultLimits, ...options.limits };
  const stopping = new AbortController();
  const cut = new AbortController();
  const health = createHealthService();
  const audit = createAudit(options.audit ?? log);
  const admission = createAdmission({ limits, stopping: stopping.signal, audit, log });
  const handlers = createHandlers({
    ...options,
    audit,
    admission,
    limits,
    health,
    stopping: stopping.signal,
    cut: cut.signal,
  });
  const { metrics } = options;
  const metricsPage = metrics && createMetricsPage({ metrics, arrive: admission.arrive, audit, log });
  const muxes: Mux[] = [];
  const removals: (() => Promise<void>)[] = [];

  function createListener(door: Door, open: Opening): Mux {
    const handler = createRequestHandler({ handlers, door, audit, log, telemetry, metricsPage, version });
    const mux = createMux({ open, handler, limits, log });
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
    const { socket, tcp, tls } = listen;
    const addresses: { -readonly [Key in keyof Server["addresses"]]: Server["addresses"][Key] } = {};
    if (tls) {
      const keys = await followTlsKeys({ files: tls.files, rereadMs: limits.tlsRereadMs, log });
      removals.push(async () => keys[Symbol.dispose]());
      const { server } = createListener(createTlsDoor(tls, keys), openTls(keys));
      addresses.tls = await bindTcp(server, tls.host, tls.port);
    }
    if (socket) {
      const authenticate = createSocketAuthenticator(options.controllerKey);
      const { server } = createListener({ transport: "unix", authenticate }, openPlain);
      removals.push(await listenOnSocket(server, socket));
      addresses.socket = socket.path;
    }
    if (tcp) {
      const door = { transport: "tcp", authenticate: authenticateAnonymous } as const;
      addresses.tcp = await listenOnLoopback(createListener(door, openPlain).server, tcp);
    }
    let closing: Promise<void> | undefined;
    return {
      addresses,
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
  readonly sources?: ServerOptions["sources"];
  readonly targetOf: ServerOptions["targetOf"];
  readonly limits: ServerLimits;
  readonly health: ReturnType<typeof createHealthService>;
  readonly stopping: AbortSignal;
  readonly cut: AbortSignal;
  readonly audit: Audit;
  readonly admission: Admission;
  readonly log: Logger;
}): readonly UniversalHandler[] {
  const { apiFor, sources = [], targetOf, limits, health, stopping, cut, audit, admission, log } = options;
  const { admit, admitToTheEnd } = admission;
  const router = createConnectRouter({
    acceptCompression: [compressionGzip],
    readMaxBytes: limits.requestBytes,
    // A misspelt key must not be taken for one that wasn't given.
    jsonOptions: { ignoreUnknownFields: false },
  });
  // The first of them is the outermost.
  const interceptors = [markComplete, translateErrors(log), validateRequests()];

  function apiOf({ identity, authorizer, reauthenticate, remoteAddress }: Admitted): NodeApi {
    const { name, reconciler, root } = identity;
    const whole = apiFor({ name, reconciler, root });
    const allowed = authorizer
      ? authorize(whole, { identity, authorizer, sources, targetOf, reauthenticate })
      : whole;
    return audit.of(allowed, { identity, remoteAddress });
  }

  serveNode(router, {
    apiFor: apiOf,
    maxDeadlineMs: limits.maxDeadlineMs,
    stopping,
    cut,
    call: { requestGate: noteCalls(admit), interceptors },
  });
  const besides = {
    shutdownSignal: stopping,
    requestGate: noteCalls(admitToTheEnd),
    interceptors: [markComplete],
  };
  health.serve(router, besides);
  serveReflection(router, [NodeService, Health], besides);
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
