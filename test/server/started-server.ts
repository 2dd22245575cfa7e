import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Logger } from "../../src/domain/log.ts";
import type { Telemetry } from "../../src/domain/telemetry.ts";
import type { ServerLimits } from "../../src/server/limits.ts";
import { type Server, startServer } from "../../src/server/server.ts";
import { createFakeNode, type FakeNode } from "../fakes/fake-node-api.ts";
import { createRecordingLog, type LogLine } from "../support/recording-log.ts";

export interface Started {
  readonly node: FakeNode;
  readonly server: Server;
  readonly directory: string;
  readonly socketPath: string;
  readonly port: number;
  readonly url: string;
  /** What was logged above debug, as [level, message, facts]. */
  readonly logged: readonly (readonly [string, string, object])[];
  /** The audit's lines. */
  readonly audited: readonly LogLine[];
}

/** A server on a Unix socket and a loopback port of its own, with a node in memory behind; gone with the test. */
export async function startTestServer(
  limits: Partial<ServerLimits> = {},
  controllerKey?: string,
  telemetry?: Telemetry,
): Promise<Started> {
  const directory = await makeDirectory();
  const socketPath = join(directory, "podplug.sock");
  const node = createFakeNode();
  const { log, logged } = createKeptLog();
  const audit = createRecordingLog();
  const server = await startServer({
    apiFor: node.apiFor,
    targetOf: node.targetOf,
    listen: {
      socket: { path: socketPath, mode: 0o600 },
      tcp: { host: "127.0.0.1", port: 0, insecure: true },
    },
    limits,
    controllerKey,
    log,
    audit,
    telemetry,
    metrics: onePage,
    version: "9.8.7",
  });
  onTestFinished(() => server.close(0));
  server.setServing(true);
  const port = server.addresses.tcp?.port ?? 0;
  const url = `http://127.0.0.1:${port}`;
  return { node, server, directory, socketPath, port, url, logged, audited: audit.lines };
}

/** A log, and what was said in it above debug. */
export function createKeptLog(): { readonly log: Logger; readonly logged: [string, string, object][] } {
  const logged: [string, string, object][] = [];
  const log: Logger = {
    debug() {},
    info: (facts, message) => logged.push(["info", message, facts]),
    warn: (facts, message) => logged.push(["warn", message, facts]),
    error: (facts, message) => logged.push(["error", message, facts]),
    child: () => log,
  };
  return { log, logged };
}

/** What the servers of tests answer as their metrics. */
export const onePage = async () => ({ contentType: "text/plain; version=0.0.4", text: "podplug_up 1\n" });

export async function makeDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "podplug-server-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A bare connection, and all that came back on it so far. */
export interface RawConnection {
  readonly socket: Socket;
  readonly received: () => string;
  readonly isClosed: () => boolean;
}

/** To a port of loopback, or to a Unix socket's path. */
export function openRaw(where: number | string): RawConnection {
  const socket = typeof where === "string" ? connect(where) : connect(where, "127.0.0.1");
  let received = "";
  let closed = false;
  socket.setEncoding("latin1");
  socket.on("data", (text: string) => {
    received += text;
  });
  // A reset is one of the ways in which a server cuts a connection.
  socket.on("error", () => {});
  socket.once("close", () => {
    closed = true;
  });
  onTestFinished(() => {
    socket.destroy();
  });
  return { socket, received: () => received, isClosed: () => closed || socket.readableEnded };
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a client program to its end. */
export async function run(command: string, args: readonly string[], home: string): Promise<Ran> {
  const { promise, resolve } = Promise.withResolvers<Ran>();
  const env = { ...process.env, HOME: home };
  execFile(command, [...args], { env, timeout: 100_000 }, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
    resolve({ code, stdout, stderr });
  });
  return promise;
}

export const methodPath = (method: string): string => `/podplug.v1.NodeService/${method}`;
