/** Writes deploy/grafana-dashboard.json: rows of panels, from the few things in which they differ. */
import { writePage } from "./generated-page.ts";

interface Panel {
  readonly title: string;
  /** What it shows and what to make of it. */
  readonly says: string;
  readonly unit: "reqps" | "ops" | "s" | "short" | "bytes" | "percentunit";
  /** PromQL by the legend of its series. `$job` and `$instance` are the dashboard's variables. */
  readonly queries: Readonly<Record<string, string>>;
  readonly stacked?: boolean;
}

const here = 'job="$job", instance=~"$instance"';

const rate = (metric: string, labels: string, where = ""): string =>
  `sum by (${labels}) (rate(${metric}{${[here, where].filter(Boolean).join(", ")}}[$__rate_interval]))`;
const quantile = (share: number, metric: string, labels: string, where = ""): string =>
  `histogram_quantile(${share}, ${rate(`${metric}_bucket`, `le, ${labels}`, where)})`;
const total = (metric: string, labels: string): string => `sum by (${labels}) (${metric}{${here}})`;
const highest = (metric: string, labels: string, where = ""): string =>
  `max by (${labels}) (${metric}{${[here, where].filter(Boolean).join(", ")}})`;

const rows: Readonly<Record<string, readonly Panel[]>> = {
  "What is plugged": [
    {
      title: "Attachments by state",
      says: "Records of the nodes. `detaching` and `failed` should pass: what stays there waits for its cleanup.",
      unit: "short",
      queries: { "{{state}}": total("podplug_attachments", "state") },
      stacked: true,
    },
    {
      title: "Attaches and detaches",
      says: "Ended changes a second, by how they ended.",
      unit: "ops",
      queries: {
        "attach {{outcome}}": rate("podplug_attach_duration_seconds_count", "outcome"),
        "detach {{outcome}}": rate("podplug_detach_duration_seconds_count", "outcome"),
      },
    },
    {
      title: "Time to attach",
      says: "From the record to the interface, by the type of the network's first plugin.",
      unit: "s",
      queries: {
        "p50 {{network_type}}": quantile(0.5, "podplug_attach_duration_seconds", "network_type"),
        "p99 {{network_type}}": quantile(0.99, "podplug_attach_duration_seconds", "network_type"),
      },
    },
    {
      title: "Time to detach",
      says: "Whoever asked: a caller, a pod's end, or a cleanup.",
      unit: "s",
      queries: {
        "p50 {{network_type}}": quantile(0.5, "podplug_detach_duration_seconds", "network_type"),
        "p99 {{network_type}}": quantile(0.99, "podplug_detach_duration_seconds", "network_type"),
      },
    },
    {
      title: "Plugins that fail",
      says: "Runs a second that didn't succeed; the log says what the plugin said.",
      unit: "ops",
      queries: {
        "{{plugin}} {{verb}} {{outcome}}": rate(
          "podplug_plugin_runs_total",
          "plugin, verb, outcome",
          'outcome!="success"',
        ),
      },
    },
    {
      title: "Time of plugins",
      says: "p99 of each plugin, without what podplug adds.",
      unit: "s",
      queries: { "{{plugin}} {{verb}}": quantile(0.99, "podplug_plugin_duration_seconds", "plugin, verb") },
    },
  ],
  "The API": [
    {
      title: "Calls",
      says: "Ended calls a second. A watch ends as `canceled` when its caller leaves.",
      unit: "reqps",
      queries: { "{{method}} {{code}}": rate("podplug_rpc_requests_total", "method, code") },
    },
    {
      title: "Failures by reason",
      says: "docs/errors.md has the cause and the cure of each.",
      unit: "reqps",
      queries: { "{{method}} {{reason}}": rate("podplug_rpc_failures_total", "method, reason") },
    },
    {
      title: "Time of calls",
      says: "p99, waiting for the pod's earlier work included; without watches, which are held.",
      unit: "s",
      queries: {
        "{{method}}": quantile(0.99, "podplug_rpc_duration_seconds", "method", 'method!="WatchInterfaces"'),
      },
    },
    {
      title: "Calls in flight",
      says: "Watches among them. limits.inFlight bounds the sum.",
      unit: "short",
      queries: { "{{method}}": total("podplug_rpc_in_flight", "method") },
      stacked: true,
    },
  ],
  "Queues and watches": [
    {
      title: "Age of the oldest that isn't done",
      says: "How long a pod, a status or a cleanup has waited for its success.",
      unit: "s",
      queries: { "{{name}}": highest("podplug_workqueue_oldest_age_seconds", "name") },
    },
    {
      title: "Waiting, and to be tried again",
      says: "Keys of each queue.",
      unit: "short",
      queries: {
        "{{name}} waiting": total("podplug_workqueue_depth", "name"),
        "{{name}} failed": total("podplug_workqueue_retrying", "name"),
      },
    },
    {
      title: "Retries",
      says: "How often a key failed and was put off, a second.",
      unit: "ops",
      queries: { "{{name}}": rate("podplug_workqueue_retries_total", "name") },
    },
    {
      title: "Time of one key's work",
      says: "p99.",
      unit: "s",
      queries: { "{{name}}": quantile(0.99, "podplug_workqueue_work_duration_seconds", "name") },
    },
    {
      title: "Watches opened again",
      says: "`ended` every few minutes is how the API server does it; `failed` is trouble.",
      unit: "ops",
      queries: { "{{resource}} {{cause}}": rate("podplug_watch_restarts_total", "resource, cause") },
    },
  ],
  "The process": [
    {
      title: "Event loop lag",
      says: "p99: how late podplug hears of anything.",
      unit: "s",
      queries: { "{{instance}}": highest("nodejs_eventloop_lag_p99_seconds", "instance") },
    },
    {
      title: "Memory",
      says: "Resident.",
      unit: "bytes",
      queries: { "{{instance}}": highest("process_resident_memory_bytes", "instance") },
    },
    {
      title: "Processor",
      says: "Share of one; plugins are processes of their own and not in it.",
      unit: "percentunit",
      queries: { "{{instance}}": rate("process_cpu_seconds_total", "instance") },
    },
    {
      title: "Open files",
      says: "Of process_max_fds.",
      unit: "short",
      queries: { "{{instance}}": highest("process_open_fds", "instance") },
    },
    {
      title: "Versions",
      says: "Agents by version.",
      unit: "short",
      queries: { "{{version}}": `count by (version) (podplug_build_info{${here}})` },
    },
  ],
};

const datasource = { type: "prometheus", uid: "${datasource}" };
const size = { w: 8, h: 8 };

function panelOf({ title, says, unit, queries, stacked = false }: Panel, id: number, x: number, y: number) {
  return {
    id,
    type: "timeseries",
    title,
    description: says,
    datasource,
    gridPos: { ...size, x, y },
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        custom: {
          fillOpacity: stacked ? 30 : 0,
          showPoints: "never",
          stacking: { mode: stacked ? "normal" : "none" },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: "list", placement: "bottom" },
      tooltip: { mode: "multi", sort: "desc" },
    },
    targets: Object.entries(queries).map(([legendFormat, expr], index) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + index),
      datasource,
      expr,
      legendFormat,
    })),
  };
}

function panels(): readonly object[] {
  const laid: object[] = [];
  let y = 0;
  for (const [title, row] of Object.entries(rows)) {
    laid.push({
      id: laid.length + 1,
      type: "row",
      title,
      collapsed: false,
      gridPos: { w: 24, h: 1, x: 0, y },
      panels: [],
    });
    y += 1;
    for (const [index, panel] of row.entries()) {
      const x = (index * size.w) % 24;
      if (index > 0 && x === 0) y += size.h;
      laid.push(panelOf(panel, laid.length + 1, x, y));
    }
    y += size.h;
  }
  return laid;
}

const variable = (name: string, query: string, multi: boolean) => ({
  name,
  type: "query",
  datasource,
  query: { query, refId: name },
  definition: query,
  refresh: 2,
  multi,
  includeAll: multi,
});

const dashboard = {
  uid: "podplug",
  title: "podplug",
  tags: ["podplug"],
  description: "What every node's agent plugs, and how it does. docs/metrics.md tells each metric.",
  schemaVersion: 39,
  editable: true,
  refresh: "30s",
  time: { from: "now-3h", to: "now" },
  templating: {
    list: [
      { name: "datasource", type: "datasource", query: "prometheus" },
      variable("job", "label_values(podplug_build_info, job)", false),
      variable("instance", 'label_values(podplug_build_info{job="$job"}, instance)', true),
    ],
  },
  panels: panels(),
};

writePage("deploy/grafana-dashboard.json", `${JSON.stringify(dashboard, null, 2)}\n`);
