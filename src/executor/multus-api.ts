import { request as httpRequest, type IncomingMessage } from "node:http";
import { type CniCommand, failureOfExit, interruption } from "../cni/plugin-outcome.ts";
import { messageOf, PodplugError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";

/** A request to the thick plugin's daemon (multus-cni 4, pkg/server/api). */
export interface DelegateRequest {
  readonly command: Extract<CniCommand, "ADD" | "DEL">;
  /** CNI's variables. */
  readonly env: Readonly<Record<string, string>>;
  /** The network's configuration, JSON text. */
  readonly config: string;
  readonly interfaceAttributes?: JsonObject | undefined;
}

/**
 * The thick plugin's daemon on its Unix socket. Failures: UNREACHABLE when it
 * is away or about to end, PLUGIN_FAILED with what it says, and the signal's.
 * What it was asked for and didn't answer goes on by itself (`mayGoOn`): it
 * can't be told to stop.
 */
export interface MultusApi {
  requireHealthy(command: CniCommand, signal: AbortSignal): Promise<void>;
  /** The answer's body; empty after DEL. */
  delegate(request: DelegateRequest, signal: AbortSignal): Promise<string>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

const maxAnswerBytes = 1024 * 1024;

/** It closes each connection itself: nothing would be gained by keeping one. */
export function createMultusApi({ socketPath }: { readonly socketPath: () => string }): MultusApi {
  async function call(
    path: string,
    body: JsonObject | undefined,
    command: CniCommand,
    signal: AbortSignal,
  ): Promise<Answer> {
    const socket = socketPath();
    const facts = { plugin: "multus", mayGoOn: body !== undefined };
    try {
      return await exchange(socket, path, body, signal);
    } catch (cause) {
      if (signal.aborted) throw interruption(signal, "multus-daemon", command, facts);
      if (cause instanceof PodplugError) throw cause;
      const message = `multus-daemon at ${socket} can't be asked: ${messageOf(cause)}`;
      throw new PodplugError("UNREACHABLE", message, { ...facts, cause });
    }
  }

  return {
    async requireHealthy(command, signal) {
      const { status } = await call("/healthz", undefined, command, signal);
      if (status === 200) return;
      throw new PodplugError("UNREACHABLE", `multus-daemon says that it isn't healthy (${status})`, {
        plugin: "multus",
      });
    },
    async delegate({ command, env, config, interfaceAttributes }, signal) {
      const content = {
        env: { CNI_COMMAND: command, ...env },
        config: Buffer.from(config).toString("base64"),
        ...(interfaceAttributes && { interfaceAttributes }),
      };
      const { status, body } = await call("/delegate", content, command, signal);
      if (status === 200) return body;
      if (status !== 400) {
        const message = `multus-daemon answered ${status} to ${command}: ${body.slice(0, 300).trim()}`;
        throw new PodplugError("UNREACHABLE", message, { plugin: "multus" });
      }
      // The parameters that it repeats first are known.
      const said = body.split("ERRORED: ").at(-1) ?? body;
      const failure = failureOfExit(
        { exitCode: 1, signal: null, stdout: said, stderr: "" },
        "multus",
        command,
      );
      // A container that is unknown has nothing left to remove.
      if (failure === undefined) return "";
      throw failure;
    },
  };
}

async function exchange(
  socketPath: string,
  path: string,
  body: JsonObject | undefined,
  signal: AbortSignal,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const content = body && Buffer.from(JSON.stringify(body));
  const request = httpRequest(
    {
      socketPath,
      path,
      method: content ? "POST" : "GET",
      headers: {
        host: "dummy",
        ...(content && { "content-type": "application/json", "content-length": content.length }),
      },
      agent: false,
      signal,
    },
    resolve,
  );
  request.once("error", reject);
  request.end(content);
  const response = await promise;
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxAnswerBytes) {
      response.destroy();
      const message = `multus-daemon answered more than ${maxAnswerBytes} bytes`;
      throw new PodplugError("PLUGIN_BAD_OUTPUT", message, { plugin: "multus" });
    }
    chunks.push(chunk);
  }
  return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() };
}
