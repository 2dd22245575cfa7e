import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { NodeService } from "../../gen/podplug/v1/node_pb.ts";
import { kinds, reasons } from "../../src/domain/reasons.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { apiMethods } from "../../src/metric-table.ts";
import { startAgentHere } from "../agent/agent-here.ts";
import { makePluginDirectory } from "../fixtures/plugins/plugin-directory.ts";
import { createClusterWorld, nodeName } from "../kube/cluster-world.ts";
import { eventually } from "../server/eventually.ts";
import { makeNetns } from "../support/netns.ts";
import { makeNode } from "../support/node.ts";
import { type Exposition, groupLabelsOf, readExposition, selectorsOf } from "./promql.ts";

/*
 * What deploy/ asks Prometheus for, held against what an agent tells that has
 * attached, detached and failed, and whose watch of the API server broke.
 */

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const deploy = join(import.meta.dirname, "../../deploy");
const { spec } = parse(readFileSync(join(deploy, "prometheus-rules.yaml"), "utf8")) as {
  spec: { groups: readonly { readonly rules: readonly Rule[] }[] };
};
const rules = spec.groups.flatMap((group) => group.rules);
const { panels } = JSON.parse(readFileSync(join(deploy, "grafana-dashboard.json"), "utf8")) as {
  panels: readonly Panel[];
};

/** Prometheus gives these itself. */
const ofPrometheus = new Set(["job", "instance"]);

/** Values that an agent in good health doesn't tell, by their labels. */
const possible: Readonly<Record<string, readonly string[]>> = {
  reason: Object.keys(reasons),
  code: ["ok", ...Object.values(kinds).map(({ code }) => code)],
};

let exposition: Exposition;

beforeAll(async () => {
  exposition = readExposition(await pageOfBusyAgent());
});

async function pageOfBusyAgent(): Promise<string> {
  await using cluster = await createClusterWorld();
  await using plugins = await makePluginDirectory();
  await plugins.add("broken", { ADD: ["exit 1"], DEL: ["exit 1"] });
  await using node = await makeNode({
    binDirs: [plugins.path],
    config: {
      nodeName,
      controller: { enabled: true, kubeconfig: await cluster.writeKubeconfig() },
    },
  });
  await node.defineNetwork("broken", [{ type: "broken" }]);
  await using netns = await makeNetns("deploy");
  await using here = await startAgentHere(node);
  const { client, agent } = here;
  const target = { kind: "netns", netns: netns.path } as const;
  await client.attach({ target, network: { name: "blue", interface: "net1" } }, neverAborted);
  await client.detach({ target, which: { by: "interface", interface: "net1" } }, neverAborted);
  await client.attach({ target, network: { name: "broken" } }, neverAborted).catch(() => undefined);
  for await (const _event of client.watch({}, neverAborted)) break;
  cluster.setPod("demo/web", { annotations: { "k8s.v1.cni.cncf.io/networks": "blue" } });
  const read = async (): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${agent.addresses.ops?.port}/metrics`)).text();
  await eventually(
    async () => /_work_duration_seconds_count\{name="reconcile"\} [1-9]/.test(await read()),
    "the controller has worked on the pod",
  );
  await eventually(
    async () => /_rpc_duration_seconds_count\{method="WatchInterfaces"\}/.test(await read()),
    "the watch has ended",
  );
  cluster.server.resetConnections();
  await eventually(
    async () => /_watch_restarts_total\{resource="pods",cause="failed"\} [1-9]/.test(await read()),
    "the watch was opened again",
  );
  return await read();
}

/** Why an expression can never show anything. */
function faultsOf(expression: string): readonly string[] {
  const selectors = selectorsOf(expression);
  const faults = selectors.flatMap(({ metric, matchers }) => {
    if (metric === "up") return [];
    const labels = exposition.get(metric);
    if (!labels) return [`no agent exposes ${metric}`];
    return matchers.flatMap(({ label, operator, value }) => {
      if (ofPrometheus.has(label)) return [];
      const values = labels.get(label);
      if (!values) return [`${metric} has no label ${label}`];
      const asked = operator.includes("~") ? value.split("|") : [value];
      return asked
        .filter((each) => !values.has(each) && !possible[label]?.includes(each))
        .map((each) => `${label} of ${metric} is never ${each}`);
    });
  });
  const kept = groupLabelsOf(expression).filter((label) => !ofPrometheus.has(label));
  const known = new Set(selectors.flatMap(({ metric }) => [...(exposition.get(metric)?.keys() ?? [])]));
  const unknown = kept.filter((label) => !known.has(label));
  if (selectors.length === 0) return ["it asks for nothing"];
  return [...faults, ...unknown.map((label) => `nothing that it asks for has label ${label}`)];
}

/** The labels that an expression leaves to its series, for legends and messages. */
function labelsOf(expression: string): ReadonlySet<string> {
  const grouped = groupLabelsOf(expression);
  const all = selectorsOf(expression).flatMap(({ metric }) => [...(exposition.get(metric)?.keys() ?? [])]);
  return new Set([...ofPrometheus, ...(grouped.length > 0 ? grouped : all)]);
}

describe("an alert", () => {
  test.each(rules.map((rule) => [rule.alert, rule] as const))("%s can fire", (_name, { expr }) => {
    expect(faultsOf(expr)).toEqual([]);
  });

  test.each(rules.map((rule) => [rule.alert, rule] as const))(
    "%s says how bad it is, what is wrong and where",
    (_name, { expr, labels, annotations }) => {
      expect(["warning", "critical"]).toContain(labels.severity);
      const text = `${annotations.summary} ${annotations.description}`;
      expect(text).toContain("$labels.instance");
      const used = Array.from(text.matchAll(/\$labels\.(\w+)/g), ([, label]) => label ?? "");
      expect(used.filter((label) => !labelsOf(expr).has(label))).toEqual([]);
    },
  );

  test("is told of in the page on operations, and no other is", () => {
    const page = readFileSync(join(import.meta.dirname, "../../docs/operations.md"), "utf8");
    const told = Array.from(page.matchAll(/^\| (Podplug\w+) \|/gm), ([, name]) => name);
    expect(told).toEqual(rules.map(({ alert }) => alert));
  });
});

describe("the dashboard", () => {
  const targets = panels.flatMap(({ title, targets: all = [] }) =>
    all.map((each) => [`${title}: ${each.legendFormat}`, each] as const),
  );

  test.each(targets)("shows something in %s", (_name, { expr, legendFormat }) => {
    const filled = expr
      .replaceAll("$job", "podplug")
      .replaceAll("$instance", ".*")
      .replaceAll("$__rate_interval", "5m");
    expect(filled).not.toContain("$");
    expect(faultsOf(filled)).toEqual([]);
    const used = Array.from(legendFormat.matchAll(/\{\{(\w+)\}\}/g), ([, label]) => label ?? "");
    expect(used.filter((label) => !labelsOf(filled).has(label))).toEqual([]);
  });
});

test("the API's methods whose failures begin at nought are those that it has", () => {
  expect(apiMethods).toEqual(NodeService.methods.map(({ name }) => name));
});
