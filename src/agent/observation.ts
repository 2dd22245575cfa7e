import packageJson from "../../package.json" with { type: "json" };
import type { Config } from "../config.ts";
import { systemClock } from "../domain/clock.ts";
import type { Logger } from "../domain/log.ts";
import type { Telemetry } from "../domain/telemetry.ts";
import { createMetrics, type Metrics } from "../metrics.ts";
import { type Ops, startOps } from "../server/ops.ts";
import { createTelemetry } from "../telemetry.ts";
import { createHealth, type Health } from "./health.ts";
import { readHostPort } from "./host-port.ts";
import type { Tracer } from "./tracer.ts";

/** By what a process of podplug's tells how it does: to be made first and let go of last. */
export interface Observation extends AsyncDisposable {
  readonly health: Health;
  readonly metrics: Metrics;
  readonly telemetry: Telemetry;
  /** Where the ops endpoints are; absent when there are none. */
  readonly address: Ops["address"] | undefined;
}

export async function startObservation(options: {
  /** The ops endpoints' HOST:PORT; empty for none. */
  readonly listen: string;
  readonly otlp: Config["otlp"];
  readonly nodeName: string;
  readonly log: Logger;
}): Promise<Observation> {
  const { listen, log } = options;
  await using cleanup = new AsyncDisposableStack();
  const health = createHealth();
  const metrics = createMetrics({ version: packageJson.version });
  const tracer = await startTraces(options);
  if (tracer) cleanup.use(tracer);
  const telemetry = createTelemetry({ metrics, tracer });
  const ops = listen
    ? await startOps({ ...health, listen: readHostPort(listen), metrics: () => metrics.page(), log })
    : undefined;
  if (ops) cleanup.defer(() => ops.close());
  const held = cleanup.move();
  return {
    health,
    metrics,
    telemetry,
    address: ops?.address,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** What traces need is loaded only for who asks for them. */
async function startTraces(options: {
  readonly otlp: Config["otlp"];
  readonly nodeName: string;
  readonly log: Logger;
}): Promise<(Tracer & AsyncDisposable) | undefined> {
  const { otlp, nodeName, log } = options;
  if (!otlp.endpoint) return undefined;
  const { createTraces } = await import("./traces.ts");
  const resource = {
    "service.name": "podplug",
    "service.version": packageJson.version,
    "service.instance.id": nodeName,
    "k8s.node.name": nodeName,
  };
  return createTraces({ endpoint: otlp.endpoint, resource, clock: systemClock, log });
}
