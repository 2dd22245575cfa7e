/** Writes docs/metrics.md from src/metric-table.ts, and from what prom-client tells of the process. */
import { type MetricFacts, metricTable } from "../src/metric-table.ts";
import { processRegistry } from "../src/metrics.ts";
import { writePage } from "./generated-page.ts";

const intro = `# Metrics

<!-- Written by scripts/write-metrics-docs.ts from src/metric-table.ts: change it there, then run make docs. -->

\`/metrics\` tells these in Prometheus's text format;
[operations.md](operations.md) says where it is to be had, and what to alert on.
Names and labels are stable: new ones may be added, none is renamed.

Label sets are bounded. A plugin's type comes from users' configurations: the
first fifty that have run on the node are told by their names, all further ones
together as \`other\`. No label holds a pod's, a network's or a caller's name; the
log, the traces and the API tell those.

What another program runs (executor \`multus\`) is told as attaches and detaches;
\`podplug_plugin_*\` tell of the plugins that podplug runs itself.
`;

function section({ type, name, help, labels, buckets }: MetricFacts): string {
  const rows = Object.entries(labels).map(([label, says]) => `- \`${label}\`: ${says}\n`);
  const bounds = buckets === undefined ? "" : `\nBuckets end at ${buckets.join(", ")} seconds.\n`;
  return `\n## ${name}\n\n${capitalised(type)}. ${help}\n${rows.length > 0 ? `\n${rows.join("")}` : ""}${bounds}`;
}

function capitalised(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

const processRows = processRegistry()
  .getMetricsAsArray()
  .map(({ name, help }) => `| \`${name}\` | ${help} |\n`);

writePage(
  "docs/metrics.md",
  [
    intro,
    ...Object.values(metricTable).map(section),
    `
## Of the process

The names that dashboards for Node.js know, most of them prom-client's own. The
event loop is looked at once a second; \`nodejs_eventloop_lag_min\` to \`_p99\` tell
how late it was since they were last read.

| Metric | |
|---|---|
`,
    ...processRows,
  ].join(""),
);
