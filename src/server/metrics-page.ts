import { codeFromString, codeToHttpStatus } from "@connectrpc/connect/protocol-connect";
import { asPodplugError, PodplugError } from "../domain/errors.ts";
import type { Logger } from "../domain/log.ts";
import { kinds } from "../domain/reasons.ts";
import type { Admission, Door } from "./admission.ts";
import type { Audit } from "./audit.ts";
import type { Identity, RequestFacts } from "./auth/contract.ts";
import type { Page } from "./listeners/text-answer.ts";

/** For a caller who waits for a page; reviews have a shorter deadline of their own. */
const timeoutMs = 10_000;

export type MetricsAnswer =
  | { readonly page: Page }
  | { readonly status: number; readonly code: string; readonly message: string };

export type MetricsPage = (door: Door, facts: RequestFacts) => Promise<MetricsAnswer>;

/** The page /metrics of the API's listeners: for callers that may `get` it. */
export function createMetricsPage(options: {
  readonly metrics: () => Promise<Page>;
  readonly arrive: Admission["arrive"];
  readonly audit: Audit;
  readonly log: Logger;
}): MetricsPage {
  const { metrics, arrive, audit, log } = options;

  return async (door, facts) => {
    const signal = AbortSignal.timeout(timeoutMs);
    let identity: Identity | undefined;
    using cleanup = new DisposableStack();
    try {
      const arrived = await arrive(door, facts, signal);
      cleanup.defer(arrived.leave);
      ({ identity } = arrived);
      const verdict = await door.authorizer?.(identity, { verb: "get", resource: "metrics" }, signal);
      if (verdict?.allowed === false) {
        throw new PodplugError("DENIED", `${identity.name} may not get /metrics: ${verdict.why}`);
      }
      return { page: await metrics() };
    } catch (thrown) {
      const error = asPodplugError(thrown);
      audit.turnedAway("metrics", { identity, remoteAddress: facts.remoteAddress }, error);
      if (error.kind === "internal") log.error({ err: error }, "telling the metrics failed");
      const { code } = kinds[error.kind];
      const connectCode = codeFromString(code);
      return {
        status: connectCode === undefined ? 500 : codeToHttpStatus(connectCode),
        code,
        message: error.message,
      };
    }
  };
}
