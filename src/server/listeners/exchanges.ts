import { IncomingMessage, ServerResponse } from "node:http";
import { constants, type Http2ServerRequest, type Http2ServerResponse } from "node:http2";
import type { ServerLimits } from "../limits.ts";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

export interface Exchanges {
  track(request: NodeRequest, response: NodeResponse): void;
  /** Cuts requests whose body and responses whose reader is too slow. */
  sweep(now: number): void;
  /** From now on, no HTTP/1.1 connection is kept alive after its response. */
  close(): void;
}

interface Exchange {
  readonly request: NodeRequest;
  readonly response: NodeResponse;
  readonly begunAt: number;
  /** Since when something waits to be sent without any of it leaving. */
  stalledSince: number | undefined;
}

/** Watches over the requests and responses of one listener. */
export function createExchanges(limits: ServerLimits): Exchanges {
  const open = new Set<Exchange>();
  let closing = false;

  function sweepOne(exchange: Exchange, now: number): void {
    const { request, response, begunAt } = exchange;
    // Node.js has a clock of its own for HTTP/1.1 requests, but none for HTTP/2 streams.
    const isSlowRequest =
      !(request instanceof IncomingMessage) && !request.complete && now - begunAt >= limits.requestTimeoutMs;
    if (response.writableLength === 0) exchange.stalledSince = undefined;
    else exchange.stalledSince ??= now;
    const isStalled =
      exchange.stalledSince !== undefined && now - exchange.stalledSince >= limits.stallTimeoutMs;
    if (isSlowRequest || isStalled) cut(response);
  }

  return {
    track(request, response) {
      const exchange: Exchange = { request, response, begunAt: performance.now(), stalledSince: undefined };
      open.add(exchange);
      response.on("drain", () => {
        exchange.stalledSince = undefined;
      });
      response.once("close", () => open.delete(exchange));
      if (closing) endAfter(response);
    },
    sweep(now) {
      for (const exchange of open) sweepOne(exchange, now);
    },
    close() {
      closing = true;
      for (const { response } of open) endAfter(response);
    },
  };
}

function endAfter(response: NodeResponse): void {
  if (response instanceof ServerResponse && !response.headersSent) response.setHeader("connection", "close");
}

function cut(response: NodeResponse): void {
  if (response instanceof ServerResponse) response.destroy();
  else response.stream.close(constants.NGHTTP2_CANCEL);
}
