/** One selector of an expression: a metric with the labels that it asks for, and with which values. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

const selectorForm = /\b(?<metric>(?:podplug|nodejs|process)_\w+|up)\b(?:\{(?<matchers>[^}]*)\})?/g;
const matcherForm = /(?<label>\w+)\s*(?<operator>=~|!~|!=|=)\s*"(?<value>[^"]*)"/g;

/** What of PromQL the tree's own dashboard and alerts use. */
export function selectorsOf(expression: string): readonly Selector[] {
  return Array.from(expression.matchAll(selectorForm), ({ groups }) => ({
    metric: groups?.["metric"] ?? "",
    matchers: Array.from((groups?.["matchers"] ?? "").matchAll(matcherForm), (match) => ({
      label: match.groups?.["label"] ?? "",
      operator: match.groups?.["operator"] ?? "",
      value: match.groups?.["value"] ?? "",
    })),
  }));
}

/** The labels that an expression keeps: `by (instance, plugin)`. */
export function groupLabelsOf(expression: string): readonly string[] {
  return Array.from(expression.matchAll(/\bby\s*\((?<labels>[^)]*)\)/g), ({ groups }) =>
    (groups?.["labels"] ?? "").split(",").map((label) => label.trim()),
  ).flat();
}

/** What an agent exposes: the labels of each metric's series, and each label's values. */
export type Exposition = ReadonlyMap<string, ReadonlyMap<string, ReadonlySet<string>>>;

export function readExposition(page: string): Exposition {
  const metrics = new Map<string, Map<string, Set<string>>>();
  for (const line of page.split("\n")) {
    const series = /^(?<metric>\w+)(?:\{(?<labels>.*)\})? \S+$/.exec(line)?.groups;
    if (!series) continue;
    const labels = metrics.get(series["metric"] ?? "") ?? new Map<string, Set<string>>();
    metrics.set(series["metric"] ?? "", labels);
    for (const { groups } of (series["labels"] ?? "").matchAll(/(?<label>\w+)="(?<value>[^"]*)"/g)) {
      const label = groups?.["label"] ?? "";
      labels.set(label, (labels.get(label) ?? new Set()).add(groups?.["value"] ?? ""));
    }
  }
  return metrics;
}
