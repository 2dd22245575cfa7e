import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { isReason, kinds, type Reason, reasons } from "./domain/reasons.ts";
import type { Happening, Source, Work, WorkFailure } from "./domain/telemetry.ts";
import { watchEventLoopLag } from "./event-loop-lag.ts";
import { apiMethods, type MetricFacts, metricTable } from "./metric-table.ts";

export interface MetricsPage {
  readonly contentType: string;
  readonly text: string;
}

/** What Prometheus reads, filled with what the rooms tell. */
export interface Metrics {
  began(work: Work): void;
  ended(work: Work, seconds: number, failure?: WorkFailure): void;
  count(happening: Happening): void;
  watch(source: Source): void;
  /** In Prometheus's text format, version 0.0.4. */
  page(): Promise<MetricsPage>;
}

/** How many plugin types are told apart: they come from the users' configurations. */
const maxTypes = 50;

export function createMetrics({ version }: { readonly version: string }): Metrics {
  const registry = new Registry();
  const sources = new Set<Source>();
  const t = metricTable;
  const rpcRequests = counter(registry, t.rpcRequests);
  const rpcFailures = counter(registry, t.rpcFailures);
  const rpcDuration = histogram(registry, t.rpcDuration);
  const rpcInFlight = gauge(registry, t.rpcInFlight);
  const attachDuration = histogram(registry, t.attachDuration);
  const detachDuration = histogram(registry, t.detachDuration);
  const pluginRuns = counter(registry, t.pluginRuns);
  const pluginDuration = histogram(registry, t.pluginDuration);
  const attachments = gauge(registry, t.attachments);
  const queueDepth = gauge(registry, t.queueDepth);
  const queueRetrying = gauge(registry, t.queueRetrying);
  const queueOldestAge = gauge(registry, t.queueOldestAge);
  const queueRetries = counter(registry, t.queueRetries);
  const queueWorkDuration = histogram(registry, t.queueWorkDuration);
  const watchRestarts = counter(registry, t.watchRestarts);
  gauge(registry, t.buildInfo).set({ version, node_version: process.version }, 1);
  // Prometheus sees no increase in a counter that begins at 1: what alerts ask for begins at 0.
  for (const name of apiMethods) {
    for (const reason of ["INTERNAL", "JOURNAL_FAILED"]) rpcFailures.inc({ method: name, reason }, 0);
  }
  watchRestarts.inc({ resource: "pods", cause: "failed" }, 0);
  const boundType = createBound(maxTypes);
  const ofProcess = processRegistry();

  function ended(work: Work, seconds: number, failure?: WorkFailure): void {
    switch (work.kind) {
      case "call": {
        const { method, transport } = work;
        rpcInFlight.dec({ method });
        rpcRequests.inc({ method, code: failure ? codeOf(failure) : "ok", transport });
        if (failure) rpcFailures.inc({ method, reason: boundReason(failure.reason) });
        rpcDuration.observe({ method }, seconds);
        return;
      }
      case "change": {
        const labels = {
          network_type: boundType(work.networkType),
          outcome: failure ? "error" : "success",
        };
        (work.verb === "attach" ? attachDuration : detachDuration).observe(labels, seconds);
        return;
      }
      case "plugin": {
        const labels = { plugin: boundType(work.type), verb: work.verb };
        pluginRuns.inc({ ...labels, outcome: failure ? boundReason(failure.reason) : "success" });
        pluginDuration.observe(labels, seconds);
        return;
      }
      case "item":
        queueWorkDuration.observe({ name: work.queue }, seconds);
        return;
      case "chain":
        // Its plugins are counted one by one, and its change in whole.
        return;
    }
  }

  function readSources(): void {
    for (const read of [attachments, queueDepth, queueRetrying, queueOldestAge]) read.reset();
    for (const source of sources) {
      if (source.kind === "records") {
        for (const [state, count] of source.read()) attachments.set({ state }, count);
      } else {
        const { name } = source;
        const { depth, retrying, oldestAgeMs } = source.read();
        queueDepth.set({ name }, depth);
        queueRetrying.set({ name }, retrying);
        queueOldestAge.set({ name }, oldestAgeMs / 1000);
      }
    }
  }

  return {
    began(work) {
      if (work.kind === "call") rpcInFlight.inc({ method: work.method });
    },
    ended,
    count(happening) {
      if (happening.kind === "retry") queueRetries.inc({ name: happening.queue });
      else watchRestarts.inc({ resource: happening.resource, cause: happening.cause });
    },
    watch: (source) => void sources.add(source),
    async page() {
      readSources();
      const texts = await Promise.all([registry.metrics(), ofProcess.metrics()]);
      return { contentType: registry.contentType, text: texts.join("\n") };
    },
  };
}

let processFigures: Registry | undefined;

/** prom-client's own watch over the event loop is as good as off: the agent's takes its place. */
const neverMs = 2 ** 31 - 1;

/** The process's own figures, which it has once, however many agents run in it. */
export function processRegistry(): Registry {
  if (processFigures === undefined) {
    processFigures = new Registry();
    collectDefaultMetrics({ register: processFigures, eventLoopMonitoringPrecision: neverMs });
    putLagInto(processFigures);
  }
  return processFigures;
}

function putLagInto(figures: Registry): void {
  for (const [figure, read] of Object.entries(watchEventLoopLag())) {
    const name = `nodejs_eventloop_lag_${figure}_seconds`;
    figures.removeSingleMetric(name);
    figures.registerMetric(
      new Gauge({
        name,
        help: `Lateness of the event loop, looked at once a second: ${figure}.`,
        registers: [],
        collect() {
          this.set(read());
        },
      }),
    );
  }
}

function codeOf({ code, reason }: WorkFailure): string {
  return code ?? kinds[reasons[boundReason(reason)].kind].code;
}

function boundReason(reason: string): Reason {
  return isReason(reason) ? reason : "INTERNAL";
}

/** The first `max` words as they are; all that come later together, so that no configuration makes series without end. */
function createBound(max: number): (word: string) => string {
  const known = new Set<string>();
  return (word) => {
    if (known.has(word)) return word;
    if (known.size >= max) return "other";
    known.add(word);
    return word;
  };
}

function counter(registry: Registry, facts: MetricFacts): Counter {
  return new Counter(settings(registry, facts));
}

function gauge(registry: Registry, facts: MetricFacts): Gauge {
  return new Gauge(settings(registry, facts));
}

function histogram(registry: Registry, facts: MetricFacts): Histogram {
  return new Histogram({ ...settings(registry, facts), buckets: [...(facts.buckets ?? [])] });
}

function settings(registry: Registry, { name, help, labels }: MetricFacts) {
  return { name, help, labelNames: Object.keys(labels), registers: [registry] };
}
