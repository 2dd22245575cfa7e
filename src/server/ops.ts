import { messageOf } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { defaultLimits } from "./limits.ts";
import { type BoundAddress, bindTcp } from "./listeners/bind.ts";
import type { NodeRequest, NodeResponse } from "./listeners/exchanges.ts";
import { isFromBrowser, isLoopbackAddress } from "./listeners/loopback.ts";
import { createMux } from "./listeners/mux.ts";
import { openPlain } from "./listeners/opening.ts";
import { type Page, sendPage, sendText } from "./listeners/text-answer.ts";

/** Answers why not, and nothing while all is well. */
export type Check = (signal: AbortSignal) => Promise<string | undefined> | string | undefined;
export type Checks = Readonly<Record<string, Check>>;

export interface OpsOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** What only a new process would cure. */
  readonly live: Checks;
  /** What the process needs to do its work now. */
  readonly ready: Checks;
  readonly metrics: () => Promise<Page>;
  readonly log: Logger;
}

export interface Ops {
  readonly address: BoundAddress;
  close(): Promise<void>;
}

/** Probes come often, from few, and ask at once. */
const limits = {
  ...defaultLimits,
  connections: 64,
  streamsPerConnection: 8,
  sniffTimeoutMs: 5000,
  headersTimeoutMs: 5000,
  requestTimeoutMs: 5000,
  idleTimeoutMs: 5000,
};

/** Less than the second that kubelet waits for a probe by default. */
const checkTimeoutMs = 800;

/**
 * Serves `/livez`, `/readyz` and `/metrics` in plain HTTP. The first two say
 * nothing secret and may be asked from anywhere; metrics tell what users plug,
 * and are for this host alone. Fails as `bind` does when it can't listen.
 */
export async function startOps(options: OpsOptions): Promise<Ops> {
  const { listen, live, ready, metrics, log } = options;

  async function answer(request: NodeRequest, response: NodeResponse): Promise<void> {
    const [path, query = ""] = (request.url ?? "").split("?", 2);
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return sendText(response, 405, "only GET\n");
    }
    const isVerbose = new URLSearchParams(query).has("verbose");
    switch (path) {
      case "/livez":
        return await sendChecks(response, live, isVerbose);
      case "/readyz":
        return await sendChecks(response, ready, isVerbose);
      case "/metrics": {
        if (!isFromThisHost(request)) {
          return sendText(
            response,
            403,
            "metrics are for this host alone; from elsewhere ask the API port\n",
          );
        }
        return sendPage(response, 200, await metrics());
      }
      default:
        return sendText(response, 404, "there are /livez, /readyz and /metrics\n");
    }
  }

  const mux = createMux({
    open: openPlain,
    limits,
    // Every process of the node reaches the port, and a probe that isn't answered ends the agent.
    brief: true,
    log,
    handler: (request, response) => {
      answer(request, response).catch((error: unknown) => {
        log.error({ err: error }, "answering a probe failed");
        sendText(response, 500, "podplug itself is at fault; see its log\n");
      });
    },
  });
  async function close(): Promise<void> {
    const closed = mux.close();
    // Whoever still waits for an answer asks what is being taken away.
    mux.cut();
    await closed;
  }

  try {
    return { address: await bindTcp(mux.server, listen.host, listen.port), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function sendChecks(response: NodeResponse, checks: Checks, isVerbose: boolean): Promise<void> {
  const faults = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await faultOf(check)] as const),
  );
  const isWell = faults.every(([, fault]) => fault === undefined);
  const lines = faults.map(([name, fault]) =>
    fault === undefined ? `[+] ${name} ok\n` : `[-] ${name}: ${fault}\n`,
  );
  if (isWell) sendText(response, 200, isVerbose ? lines.join("") : "ok\n");
  else sendText(response, 503, lines.join(""));
}

async function faultOf(check: Check): Promise<string | undefined> {
  try {
    return await check(AbortSignal.timeout(checkTimeoutMs));
  } catch (error) {
    return messageOf(error);
  }
}

function isFromThisHost({ socket, headers }: NodeRequest): boolean {
  const authorities = [headers[":authority"], headers.host].filter((name) => typeof name === "string");
  return isLoopbackAddress(socket.remoteAddress ?? "") && !isFromBrowser(authorities, headers.origin);
}
