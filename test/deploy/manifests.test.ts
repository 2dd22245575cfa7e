import { globSync, readFileSync } from "node:fs";
import { copyFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { parseAllDocuments } from "yaml";
import packageJson from "../../package.json" with { type: "json" };
import { loadConfig } from "../../src/agent/config-files.ts";
import { refuseContradictions } from "../../src/config.ts";

/* What needs no API server to be seen; test/cluster holds the same files against one. */

const deploy = join(import.meta.dirname, "../../deploy");
const kustomizations = join(deploy, "kubernetes");
const base = join(kustomizations, "base");

interface Role {
  readonly kind: string;
  readonly rules?: readonly {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly verbs: readonly string[];
  }[];
}

/** Each right by itself: `get pods`. */
function rightsIn(file: string): readonly string[] {
  return parseAllDocuments(readFileSync(join(deploy, file), "utf8"))
    .map((document) => document.toJS() as Role)
    .filter(({ kind }) => kind === "ClusterRole")
    .flatMap(({ rules = [] }) => rules)
    .flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}.${group}`)),
      ),
    );
}

test("an agent that is no pod has the rights of those that are, with every component", () => {
  const parts = ["base", "components/kaloom", "components/tls"].map((part) => `kubernetes/${part}/rbac.yaml`);
  expect(rightsIn("rbac.yaml").toSorted()).toEqual(parts.flatMap(rightsIn).toSorted());
});

test("the agents' namespace is the same wherever it is made", () => {
  interface Named {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly labels?: object };
  }
  const root = join(deploy, "..");
  const made = globSync(["deploy/**/*.yaml", "examples/**/*.yaml"], {
    cwd: root,
    exclude: ["deploy/helm/**", "**/overlays/**"],
  }).flatMap((file) =>
    parseAllDocuments(readFileSync(join(root, file), "utf8"))
      .map((document) => document.toJS() as Named | null)
      .filter((object) => object?.kind === "Namespace" && object.metadata.name === "podplug")
      .map((object) => [file, object?.metadata.labels] as const),
  );
  const levels = ["enforce", "audit", "warn"].map((mode) => [
    `pod-security.kubernetes.io/${mode}`,
    "privileged",
  ]);
  // kustomize gives the label to everything that it makes.
  const label = { "app.kubernetes.io/name": "podplug" };
  expect(Object.fromEntries(made)).toEqual({
    "deploy/kubernetes/base/namespace.yaml": Object.fromEntries(levels),
    "deploy/rbac.yaml": { ...label, ...Object.fromEntries(levels) },
  });
});

test("every image is this version's", () => {
  const others = ["helm/podplug/Chart.yaml", "../examples/kubernetes/kustomization.yaml"];
  const files = [...globSync(`${kustomizations}/**/*.yaml`), ...others.map((file) => join(deploy, file))];
  const named = files.flatMap((file) => [
    ...readFileSync(file, "utf8").matchAll(
      /^ *(?:image: podplug:|version: |appVersion: |- .*newTag: )(?<version>\S+)/gm,
    ),
  ]);
  expect(named.length).toBe(6);
  for (const { groups } of named) expect(groups?.["version"]).toBe(packageJson.version);
});

describe("the configuration", async () => {
  const filesIn = (folder: string): readonly string[] =>
    globSync(join(kustomizations, folder, "[0-9][0-9]-*.yaml"));
  const overlays = await readdir(join(kustomizations, "overlays"));
  const components = filesIn("components/*");

  test.each(overlays)("of overlay %s with every component is one that an agent takes", async (overlay) => {
    const folder = await mkdtemp(join(tmpdir(), "podplug-config-"));
    onTestFinished(() => rm(folder, { recursive: true }));
    for (const file of [
      ...globSync(join(base, "[0-9][0-9]-*.yaml")),
      ...filesIn(`overlays/${overlay}`),
      ...components,
    ]) {
      await copyFile(file, join(folder, basename(file)));
    }
    const config = await loadConfig(folder);
    refuseContradictions(config);
    expect(config).toMatchObject({ api: { auth: { tokenReview: true } }, executor: "multus" });
  });
});
