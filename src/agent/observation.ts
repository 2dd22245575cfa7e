import packageJson from "../../package.json" with { type: "json" };
import type { Logger } from "../domain/log.ts";
import type { Telemetry } from "../domain/telemetry.ts";
import { createMetrics, type Metrics } from "../metrics.ts";
import { type Ops, startOps } from "../server/ops.ts";
import { createTelemetry } from "../telemetry.ts";
import { createHealth, type Health } from "./health.ts";
import { readHostPort } from "./host-port.ts";

/** By what a process of podplug's tells how it does: to be made first and let go of last. */
export interface Observation extends AsyncDisposable {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly telemetry: Telemetry;
  /** Where the ops endpoints are; absent when there are none. */
  readonly address: Ops["address"] | undefined;
}

/** `listen` is the ops endpoints' HOST:PORT, empty for none. */
export async function startObservation({
  listen,
  log,
}: {
  readonly listen: string;
  readonly log: Logger;
}): Promise<Observation> {
  const health = createHealth();
  const metrics = createMetrics({ version: packageJson.version });
  const telemetry = createTelemetry({ metrics });
  const ops = listen
    ? await startOps({ ...health, listen: readHostPort(listen), metrics: () => metrics.page(), log })
    : undefined;
  return {
    health,
    metrics,
    telemetry,
    address: ops?.address,
    [Symbol.asyncDispose]: async () => await ops?.close(),
  };
}
