import { type CallOptions, createClient } from "@connectrpc/connect";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { PodplugError } from "../domain/errors.ts";
import type { NodeApi } from "../domain/node-api.ts";
import {
  attachAnswerFromProto,
  detachAnswerFromProto,
  listAnswerFromProto,
  nodeInfoFromProto,
} from "../wire/answers.ts";
import { eventFromProto } from "../wire/events.ts";
import {
  attachRequestToProto,
  checkRequestToProto,
  detachRequestToProto,
  listRequestToProto,
  watchRequestToProto,
} from "../wire/requests.ts";
import { createCallErrors, type Doing } from "./call-errors.ts";
import type { ConnectionOptions } from "./connection.ts";
import { checkCredentials, currentControllerKey, currentToken } from "./credentials.ts";
import { parseServerAddress } from "./server-address.ts";
import { createTransport } from "./transport.ts";

export interface NodeClientOptions extends ConnectionOptions {
  /** `unix:///run/podplug/podplug.sock`, `https://HOST:7654` or `http://127.0.0.1:PORT`. */
  readonly server: string;
  /** What messages call it; the address when absent. */
  readonly describes?: string | undefined;
  /** How long each call may take, in milliseconds; watching is not bounded. No bound when absent. */
  readonly timeoutMs?: number | undefined;
}

/** A connection to one node's agent. Opened at the first call, and again after it was lost. */
export interface NodeClient extends NodeApi, AsyncDisposable {
  /** Ends the connection; calls under way fail with CANCELED. */
  close(): Promise<void>;
}

/**
 * Throws INVALID_CONFIGURATION when the options can't be used together. Its
 * calls fail as NodeApi says, and besides with UNREACHABLE (nobody answers
 * there), DENIED (the socket may not be opened), UNAUTHENTICATED,
 * DEADLINE_EXCEEDED and INVALID_CONFIGURATION (a file can't be read).
 */
export function createNodeClient(options: NodeClientOptions): NodeClient {
  const given = parseServerAddress(options.server);
  const address = { ...given, text: options.describes ?? given.text };
  checkCredentials(options, address.kind);
  if (options.tunnel !== undefined && address.kind !== "https") {
    throw new PodplugError("INVALID_CONFIGURATION", "a tunnel carries https alone");
  }
  const transport = createTransport(address, options, {
    token: (signal) => currentToken(options, signal),
    controllerKey: () => currentControllerKey(options),
  });
  const service = createClient(NodeService, transport);
  const callErrors = createCallErrors(address);
  let closed = false;

  const call = async <T>(
    doing: Doing,
    signal: AbortSignal,
    send: (how: CallOptions) => Promise<T>,
  ): Promise<T> => {
    try {
      if (closed) throw closedError(doing);
      return await send({ signal, ...(options.timeoutMs !== undefined && { timeoutMs: options.timeoutMs }) });
    } catch (error) {
      throw closed ? closedError(doing) : callErrors.translate(error, doing, signal);
    }
  };

  const close = (): Promise<void> => {
    closed = true;
    transport.close();
    return Promise.resolve();
  };

  return {
    async attach(request, signal) {
      const message = attachRequestToProto(request);
      return attachAnswerFromProto(
        await call("attaching", signal, (how) => service.attachNetwork(message, how)),
      );
    },
    async detach(request, signal) {
      const message = detachRequestToProto(request);
      return detachAnswerFromProto(
        await call("detaching", signal, (how) => service.detachNetwork(message, how)),
      );
    },
    async list(request, signal) {
      const message = listRequestToProto(request);
      return listAnswerFromProto(
        await call("listing", signal, (how) => service.listInterfaces(message, how)),
      );
    },
    async *watch(request, signal) {
      const doing = "watching";
      // A reader that stops reading has to end the stream too.
      const left = new AbortController();
      const how = { signal: AbortSignal.any([signal, left.signal]) };
      try {
        if (closed) throw closedError(doing);
        for await (const answer of service.watchInterfaces(watchRequestToProto(request), how)) {
          const event = eventFromProto(answer);
          if (event !== undefined) yield event;
        }
      } catch (error) {
        if (signal.aborted) return;
        throw closed ? closedError(doing) : callErrors.translate(error, doing, signal);
      } finally {
        left.abort();
      }
      if (!signal.aborted) throw callErrors.lost(doing);
    },
    async check(request, signal) {
      const message = checkRequestToProto(request);
      await call("checking", signal, (how) => service.checkNetwork(message, how));
    },
    async info(signal) {
      return nodeInfoFromProto(await call("asking", signal, (how) => service.getNodeInfo({}, how)));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function closedError(doing: Doing): PodplugError {
  return new PodplugError("CANCELED", `the client was closed while ${doing}`);
}
