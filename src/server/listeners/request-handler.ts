import { createContextValues } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";
import { PodplugError } from "../../domain/errors.ts";
import type { Logger } from "../../domain/log.ts";
import type { Telemetry } from "../../domain/telemetry.ts";
import { arrivalKey, type Door } from "../admission.ts";
import type { Audit } from "../audit.ts";
import type { RequestFacts } from "../auth/contract.ts";
import { beginCall, callKey, readRequestId } from "../calls.ts";
import type { MetricsPage } from "../metrics-page.ts";
import { certificateOf } from "./client-certificate.ts";
import type { NodeRequest, NodeResponse } from "./exchanges.ts";
import { isFromBrowser } from "./loopback.ts";
import type { NodeHandler } from "./mux.ts";
import { sendPage } from "./text-answer.ts";

/** Hands the requests of one listener to the RPCs' handlers; answers those that name none of them itself. */
export function createRequestHandler(options: {
  readonly handlers: readonly UniversalHandler[];
  readonly door: Door;
  readonly audit: Audit;
  readonly log: Logger;
  readonly telemetry: Telemetry;
  /** Absent where there are none to be had. */
  readonly metricsPage?: MetricsPage | undefined;
  readonly version: string;
}): NodeHandler {
  const { door, audit, log, telemetry, metricsPage, version } = options;
  const { transport } = door;
  const handlers = new Map(options.handlers.map((handler) => [handler.requestPath, handler]));

  async function answer(request: NodeRequest, response: NodeResponse, requestId: string): Promise<void> {
    const path = pathOf(request);
    // A Unix socket has no authority; what clients make up for it, a path at
    // worst, is no part of an URL.
    if (transport === "unix") nameLocalhost(request);
    const why = faultOf(request);
    if (why !== undefined) {
      tellRefusal(request, path, requestId, why);
      refuse(response, 403, "permission_denied", why);
      return;
    }
    if (path === "/metrics" && metricsPage && request.method === "GET") {
      const { header } = universalRequestFromNodeRequest(request, response, undefined, createContextValues());
      const answered = await metricsPage(door, factsOf(request, header));
      if ("page" in answered) sendPage(response, 200, answered.page);
      else refuse(response, answered.status, answered.code, answered.message);
      return;
    }
    const handler = handlers.get(path);
    if (!handler) {
      refuse(response, 404, "unimplemented", "there is no such service or method");
      return;
    }
    const values = createContextValues();
    const universal = universalRequestFromNodeRequest(request, response, undefined, values);
    const { header: headers } = universal;
    values.set(arrivalKey, { door, facts: factsOf(request, headers) });
    const call = beginCall({ telemetry, method: handler.method.name, transport, headers, requestId });
    values.set(callKey, call);
    response.once("close", () => {
      // What ends without having begun has a content type or HTTP method that no call has.
      call.running.end({ reason: "INVALID_REQUEST", message: "no call could be read from the request" });
    });
    await call.running.run(async () => universalResponseToNodeResponse(await handler(universal), response));
  }

  /** Why it isn't even looked at who calls. */
  function faultOf(request: NodeRequest): string | undefined {
    const { origin } = request.headers;
    if (transport === "unix") return undefined;
    if (transport === "tcp" && isFromBrowser(authoritiesOf(request), origin)) {
      return "only clients of this host may call here, and no web pages";
    }
    // A browser shows its user's certificate to whatever page asks.
    return origin === undefined ? undefined : "web pages may not call here";
  }

  function tellRefusal(request: NodeRequest, path: string, requestId: string, why: string): void {
    const method = path === "/metrics" ? "metrics" : (handlers.get(path)?.method.name ?? "unknown");
    const { remoteAddress } = request.socket;
    audit.turnedAway(method, { remoteAddress, requestId }, new PodplugError("DENIED", why));
  }

  function factsOf(request: NodeRequest, headers: Headers): RequestFacts {
    return {
      transport,
      headers,
      remoteAddress: request.socket.remoteAddress,
      clientCertificate: transport === "tls" ? certificateOf(request) : undefined,
    };
  }

  return (request, response) => {
    const given = request.headers["x-request-id"];
    const requestId = readRequestId(typeof given === "string" ? given : undefined);
    response.setHeader("server", `podplug/${version}`);
    response.setHeader("x-request-id", requestId);
    answer(request, response, requestId).catch((error: unknown) => {
      // Whoever it was for is gone, or speaks no HTTP that leads to a call.
      log.debug({ err: error, path: pathOf(request), requestId }, "request failed");
      if (response.headersSent) response.destroy();
      else refuse(response, 400, "invalid_argument", "the request can't be read");
    });
  };
}

/** Without the query, which is a whole request when it is made by GET. */
function pathOf({ url = "" }: NodeRequest): string {
  const [path = ""] = url.split("?", 1);
  return path;
}

function authoritiesOf({ headers }: NodeRequest): string[] {
  const { ":authority": authority, host } = headers;
  return [authority, host].filter((name) => typeof name === "string");
}

function nameLocalhost({ headers }: NodeRequest): void {
  if (":authority" in headers) headers[":authority"] = "localhost";
  headers.host = "localhost";
}

/** An answer that Connect clients read as an error and gRPC clients by its status. */
function refuse(response: NodeResponse, status: number, code: string, message: string): void {
  if (response.writableEnded) return;
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.end(`${JSON.stringify({ code, message })}\n`);
}
