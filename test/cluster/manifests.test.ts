import { globSync, readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { useCluster } from "./support/cluster.ts";
import { defineForeignObjects, dryRun, kustomizations, renderKustomization } from "./support/manifests.ts";

const cluster = useCluster();
const root = join(kustomizations, "../..");
const cleanup = new AsyncDisposableStack();
const foldersIn = (folder: string): Promise<string[]> => readdir(join(kustomizations, folder));
const overlays = (await foldersIn("overlays")).map((name) => `overlays/${name}`);
const components = await foldersIn("components");

beforeAll(() => defineForeignObjects(cluster));
afterAll(() => cleanup.disposeAsync());

describe("the API server takes every object, strictly read,", () => {
  test.each(["base", ...overlays])("of %s", async (folder) => {
    await expectTaken(await renderKustomization(cluster, folder));
  });

  test.each(components)("of the base with component %s", async (component) => {
    await expectTaken(await renderKustomization(cluster, "base", [component]));
  });

  test.each(overlays)("of %s with all components that go together", async (overlay) => {
    for (const certificates of ["certificates", "cert-manager"]) {
      const others = components.filter((name) => name !== "certificates" && name !== "cert-manager");
      await expectTaken(await renderKustomization(cluster, overlay, [...others, certificates]));
    }
  });
});

test("the API server takes every object of the example of an installation", async () => {
  await expectTaken(await cluster.kubectl("kustomize", join(root, "examples/kubernetes")));
});

describe("the API server takes every object, strictly read, by itself,", () => {
  beforeAll(async () => {
    await cluster.kubectl("apply", "-f", join(root, "examples/kaloom/networks-crd.yaml"));
    await cluster.kubectl("wait", "--for=condition=Established", "--timeout=120s", "crd/networks.kaloom.com");
    const named = files.flatMap((file) =>
      Array.from(
        textOf(file).matchAll(/^ +namespace: (?<name>[a-z-]+)$/gm),
        ({ groups }) => groups?.["name"],
      ),
    );
    const missing = new Set(named).difference(new Set(["podplug", "default"]));
    for (const name of missing)
      await cluster.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
    cleanup.defer(async () => {
      await cluster.kubectl("delete", "namespace", ...[...missing].map(String));
    });
  });

  const textOf = (file: string): string => readFileSync(join(root, file), "utf8");
  const files = globSync(["deploy/*.yaml", "deploy/systemd/*.yaml", "examples/*/*.yaml"], {
    cwd: root,
  }).filter((file) => /^kind: (?!Kustomization)/m.test(textOf(file)));

  test.each(files)("of %s", async (file) => {
    await expectTaken(textOf(file));
  });
});

test("an object with an unknown field is told, so that the others were looked at", async () => {
  const manifests = await renderKustomization(cluster, "base");
  const wrong = manifests.replace("hostNetwork: true", "hostNetworks: true");
  await expect(dryRun(cluster, wrong)).rejects.toThrow('unknown field "spec.template.spec.hostNetworks"');
});

async function expectTaken(manifests: string): Promise<void> {
  const taken = await dryRun(cluster, manifests);
  expect(taken).toHaveLength(manifests.match(/^kind: /gm)?.length ?? 0);
  for (const line of taken) expect(line).toMatch(/(created|configured|unchanged) \(server dry run\)$/);
}
