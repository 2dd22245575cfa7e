import { join } from "node:path";
import { expect, test } from "vitest";
import { run, useCluster } from "./support/cluster.ts";

const cluster = useCluster();
const kustomizations = join(import.meta.dirname, "../../deploy/kubernetes");

test.each(["base"])("the API server takes every object of %s, strictly read", async (folder) => {
  const manifests = await cluster.kubectl("kustomize", join(kustomizations, folder));
  const answer = await run(
    "kubectl",
    ["--kubeconfig", cluster.kubeconfigPath, "apply", "--dry-run=server", "--validate=strict", "-f", "-"],
    manifests,
  );
  const taken = answer.trim().split("\n");
  expect(taken).toHaveLength(manifests.match(/^kind: /gm)?.length ?? 0);
  for (const line of taken) expect(line).toMatch(/(created|configured|unchanged) \(server dry run\)$/);
});
