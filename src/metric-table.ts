/*
 * The metrics of podplug's own: docs/metrics.md is made from them, and what
 * deploy/ asks for is held against them. Names follow controller-runtime's
 * style. Names and labels are promised to users: add to them, never rename one.
 */

export interface MetricFacts {
  readonly type: "counter" | "gauge" | "histogram";
  readonly name: string;
  readonly help: string;
  /** What each label says. */
  readonly labels: Readonly<Record<string, string>>;
  /** In seconds, for histograms. */
  readonly buckets?: readonly number[];
}

/** NodeService's. */
export const apiMethods = [
  "AttachNetwork",
  "DetachNetwork",
  "ListInterfaces",
  "WatchInterfaces",
  "CheckNetwork",
  "GetNodeInfo",
] as const;

const method = "the RPC, such as AttachNetwork";
const networkType = "type of the network's first plugin, such as bridge";
const outcome = "`success` or `error`";
const queue =
  "`reconcile` and `publish` are the controller's, `cleanup` is what a failed detach or attach left";

const callBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const pluginBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export const metricTable = {
  buildInfo: {
    type: "gauge",
    name: "podplug_build_info",
    help: "Always 1; says which version runs.",
    labels: { version: "podplug's version", node_version: "Node.js's" },
  },
  rpcRequests: {
    type: "counter",
    name: "podplug_rpc_requests_total",
    help: "Calls of the API that have ended.",
    labels: {
      method,
      code: "`ok`, or [Connect's word](errors.md) for the failure",
      transport: "`unix`, `tcp` (loopback without TLS) or `tls`, or `process` for the agent's own controller",
    },
  },
  rpcFailures: {
    type: "counter",
    name: "podplug_rpc_failures_total",
    help: "Calls of the API that failed, by reason.",
    labels: { method, reason: "[the failure's reason](errors.md)" },
  },
  rpcDuration: {
    type: "histogram",
    name: "podplug_rpc_duration_seconds",
    help: "How long calls of the API took; of a watch, how long it was held.",
    labels: { method },
    buckets: callBuckets,
  },
  rpcInFlight: {
    type: "gauge",
    name: "podplug_rpc_in_flight",
    help: "Calls of the API that run now, watches among them.",
    labels: { method },
  },
  attachDuration: {
    type: "histogram",
    name: "podplug_attach_duration_seconds",
    help: "How long attaching one network took, from its record to its interface; with what undoes a failure.",
    labels: { network_type: networkType, outcome },
    buckets: pluginBuckets,
  },
  detachDuration: {
    type: "histogram",
    name: "podplug_detach_duration_seconds",
    help: "How long detaching one network took, whoever asked: a caller, a pod's end, or a cleanup.",
    labels: { network_type: networkType, outcome },
    buckets: pluginBuckets,
  },
  pluginRuns: {
    type: "counter",
    name: "podplug_plugin_runs_total",
    help: "Runs of CNI plugins that have ended.",
    labels: {
      plugin: "the plugin's type",
      verb: "CNI's command, such as ADD",
      outcome: "`success`, or [the failure's reason](errors.md)",
    },
  },
  pluginDuration: {
    type: "histogram",
    name: "podplug_plugin_duration_seconds",
    help: "How long runs of CNI plugins took.",
    labels: { plugin: "the plugin's type", verb: "CNI's command, such as ADD" },
    buckets: pluginBuckets,
  },
  attachments: {
    type: "gauge",
    name: "podplug_attachments",
    help: "Attachments that the node has a record of.",
    labels: { state: "`attaching`, `attached`, `detaching` or `failed`" },
  },
  queueDepth: {
    type: "gauge",
    name: "podplug_workqueue_depth",
    help: "Keys that wait for their turn.",
    labels: { name: queue },
  },
  queueRetrying: {
    type: "gauge",
    name: "podplug_workqueue_retrying",
    help: "Keys that failed and wait to be tried again.",
    labels: { name: queue },
  },
  queueOldestAge: {
    type: "gauge",
    name: "podplug_workqueue_oldest_age_seconds",
    help: "Age of the oldest key that isn't done yet: it waits, runs, or is to be tried again.",
    labels: { name: queue },
  },
  queueRetries: {
    type: "counter",
    name: "podplug_workqueue_retries_total",
    help: "How often a key failed and was put off to be tried again.",
    labels: { name: queue },
  },
  queueWorkDuration: {
    type: "histogram",
    name: "podplug_workqueue_work_duration_seconds",
    help: "How long working on one key took.",
    labels: { name: queue },
    buckets: callBuckets,
  },
  watchRestarts: {
    type: "counter",
    name: "podplug_watch_restarts_total",
    help: "How often a watch was opened again.",
    labels: {
      resource: "`pods` at the API server, or `attachments` at podplug's own API",
      cause: "`ended` in good order, `expired` (read anew from a list), or `failed`",
    },
  },
} as const satisfies Record<string, MetricFacts>;
