import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { type ConnectionOptions, createDialer } from "./connection.ts";
import type { ServerAddress } from "./server-address.ts";

export interface ClosableTransport extends Transport {
  /** Ends the connection, with whatever runs on it. */
  close(): void;
}

// A peer that vanished without a word is noticed by these, also during a watch
// on which nothing happens for hours.
const pingIntervalMs = 20_000;
const pingTimeoutMs = 10_000;

/**
 * Connect over one HTTP/2 connection, whatever the address is: it starts as
 * fast as HTTP/1.1 for a single call, and carries watches beside calls.
 */
export function createTransport(
  address: ServerAddress,
  options: ConnectionOptions,
  currentToken: () => Promise<string | undefined>,
): ClosableTransport {
  // The agent refuses hosts that aren't its own, and a socket has none.
  const baseUrl = address.kind === "unix" ? "http://localhost" : address.origin;
  const sessionManager = new Http2SessionManager(
    baseUrl,
    { pingIntervalMs, pingTimeoutMs },
    { createConnection: createDialer(address, options) },
  );
  const authenticate: Interceptor = (next) => async (request) => {
    const token = await currentToken();
    if (token !== undefined) request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "2",
    sessionManager,
    interceptors: [authenticate],
  });
  return {
    unary: transport.unary,
    stream: transport.stream,
    close: () => sessionManager.abort(),
  };
}
