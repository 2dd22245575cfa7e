import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { run, useCluster } from "./support/cluster.ts";
import { defineForeignObjects, dryRun, renderKustomization } from "./support/manifests.ts";

const cluster = useCluster();
const chart = join(import.meta.dirname, "../../deploy/helm/podplug");
const on = { enabled: true };
const tls = (certificates: string) => ({ ...on, certificates });

/** What of deploy/kubernetes the values stand for. */
const pairs: readonly (readonly [
  what: string,
  folder: string,
  components: readonly string[],
  values: object,
])[] = [
  ["no values", "base", [], {}],
  ["platform containerd", "overlays/containerd", [], { platform: "containerd" }],
  ["platform crio", "overlays/crio", [], { platform: "crio" }],
  ["platform docker", "overlays/docker", [], { platform: "docker" }],
  ["platform openshift", "overlays/openshift", [], { platform: "openshift" }],
  ["multus", "overlays/multus", [], { multus: on }],
  ["kaloom", "base", ["kaloom"], { kaloom: on }],
  ["tls alone", "base", ["tls"], { tls: tls("none") }],
  ["tls with podplug's certificates", "base", ["tls", "certificates"], { tls: tls("podplug") }],
  ["tls with cert-manager's certificates", "base", ["tls", "cert-manager"], { tls: tls("cert-manager") }],
  ["least privilege", "base", ["least-privilege"], { leastPrivilege: on }],
  ["the admission policy", "base", ["admission-policy"], { admissionPolicy: on }],
  ["the network policy", "base", ["network-policy"], { networkPolicy: on }],
  [
    "everything",
    "overlays/openshift",
    [
      "kaloom",
      "least-privilege",
      "multus",
      "tls",
      "certificates",
      "monitoring",
      "network-policy",
      "admission-policy",
    ],
    {
      platform: "openshift",
      kaloom: on,
      leastPrivilege: on,
      multus: on,
      tls: tls("podplug"),
      monitoring: on,
      networkPolicy: on,
      admissionPolicy: on,
    },
  ],
];

beforeAll(() => defineForeignObjects(cluster));

describe("the chart with", () => {
  test.each(pairs)("%s is the same as kustomize's %s with %j", async (_what, folder, components, values) => {
    const rendered = await render(values);
    expect(objectsOf(rendered)).toEqual(objectsOf(await renderKustomization(cluster, folder, components)));
    expect(await dryRun(cluster, rendered)).toHaveLength(Object.keys(objectsOf(rendered)).length);
  });

  test("every value that a node's administrator may want has its place", async () => {
    const rendered = await render(
      {
        image: {
          repository: "registry.example/podplug",
          tag: "1.2.3",
          pullPolicy: "Always",
          pullSecrets: ["pull"],
        },
        config: { cni: { maxConcurrent: 4 }, log: { level: "debug" } },
        tls: tls("podplug"),
        networkPolicy: { enabled: true, apiServerPorts: [8443] },
        resources: { requests: { cpu: "100m" } },
        priorityClassName: "own",
        nodeSelector: { pool: "vnf" },
        tolerations: [],
        maxUnavailable: 3,
        podAnnotations: { "example.com/team": "network" },
      },
      "net",
    );
    expect(
      await dryRun(cluster, rendered.replaceAll("namespace: net", "namespace: podplug")),
    ).not.toHaveLength(0);
    const objects = objectsOf(rendered);
    expect(objects["ConfigMap podplug-agent"]).toMatchObject({
      data: { "50-values.yaml": { cni: { maxConcurrent: 4 }, log: { level: "debug" } } },
    });
    expect(objects["NetworkPolicy podplug"]).toMatchObject({
      spec: { egress: [{ ports: [{ protocol: "TCP", port: 8443 }] }] },
    });
    const { spec } = objects["DaemonSet podplug-agent"] as { readonly spec: { readonly template: object } };
    expect(spec).toMatchObject({
      updateStrategy: { rollingUpdate: { maxUnavailable: 3 } },
      template: {
        metadata: { annotations: { "example.com/team": "network" } },
        spec: {
          imagePullSecrets: [{ name: "pull" }],
          priorityClassName: "own",
          nodeSelector: { pool: "vnf" },
          containers: [
            {
              image: "registry.example/podplug:1.2.3",
              imagePullPolicy: "Always",
              resources: { requests: { cpu: "100m" } },
            },
          ],
        },
      },
    });
    expect(spec.template).not.toHaveProperty("spec.tolerations");
    expect(rendered).not.toContain("podplug:0");
    expect(rendered).not.toContain("namespace: podplug");
  });
});

test.each([
  ["an unknown value", { platfrom: "crio" }, "platfrom"],
  ["an unknown value within another", { tls: { enable: true } }, "enable"],
  ["an unknown platform", { platform: "cri-o" }, "platform"],
  ["a word for a number", { config: { cni: { maxConcurrent: "many" } } }, "/config/cni/maxConcurrent"],
  ["an unknown key of the configuration", { config: { cni: { binDir: ["/x"] } } }, "binDir"],
  ["a wrong word in the configuration", { config: { executor: "cni" } }, "/config/executor"],
  ["a switch that is none", { kaloom: { enabled: "yes" } }, "/kaloom/enabled"],
  ["metrics without the port that they come by", { monitoring: on }, "/tls/enabled"],
])("%s is refused, by its path", async (_what, values, path) => {
  await expect(render(values)).rejects.toThrow(path);
});

test("helm finds nothing to object to", async () => {
  expect(await run("helm", ["lint", "--strict", chart])).toContain("0 chart(s) failed");
});

async function render(values: object, namespace = "podplug"): Promise<string> {
  const args = ["template", "podplug", chart, "--namespace", namespace, "--values", "-"];
  return await run("helm", [...args, "--kube-version", "1.36"], JSON.stringify(values));
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> };
  readonly data?: Readonly<Record<string, string>>;
}

/**
 * By kind and name, without what is told to differ: Helm's labels and its sum
 * of the configuration, kustomize's suffix of the ConfigMap's name, comments,
 * and the namespace, which helm leaves to its user.
 */
function objectsOf(manifests: string): Readonly<Record<string, unknown>> {
  const plain = manifests
    .replaceAll(/podplug-agent-[a-z0-9]{10}\b/g, "podplug-agent")
    .replaceAll(/^ *checksum\/configuration: .*\n/gm, "");
  const objects = parseAllDocuments(plain)
    .map((document) => document.toJS() as Manifest | null)
    .filter((object) => object !== null)
    .filter(({ kind }) => kind !== "Namespace");
  return Object.fromEntries(
    objects.map(({ metadata: { labels, ...metadata }, data, ...object }) => [
      `${object.kind} ${metadata.name}`,
      {
        ...object,
        metadata: { ...metadata, component: labels?.["app.kubernetes.io/component"] },
        ...(data && {
          data: Object.fromEntries(
            Object.entries(data).map(([file, text]) => [file, parse(text) as unknown]),
          ),
        }),
      },
    ]),
  );
}
