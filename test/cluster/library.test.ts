import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Installed, installLibrary } from "../library/installed.ts";
import { eventually, useCluster } from "./support/cluster.ts";
import { podManifest, podSandbox, readyPod } from "./support/pods.ts";
import { startTlsAgent, type TlsAgent } from "./support/tls-agent.ts";
import { tokenKubeconfig } from "./support/users.ts";

const cluster = useCluster();
const root = join(import.meta.dirname, "../..");
const roles = [
  join(root, "examples/rbac/orchestrator.yaml"),
  join(root, "examples/vnf-orchestrator/rbac.yaml"),
];
/** Of the roles. */
const namespace = "vnf";

let served: TlsAgent;
let installed: Installed;
const cleanup = new AsyncDisposableStack();

beforeAll(async () => {
  for (const file of roles) await cluster.kubectl("apply", "-f", file);
  await eventually("the namespace's service account", () =>
    cluster.kubectl("-n", namespace, "get", "serviceaccount", "default"),
  );
  served = cleanup.use(await startTlsAgent(cluster));
  await cluster.apply(
    served.agent.bridgeDefinition(namespace, "access"),
    {
      apiVersion: "k8s.cni.cncf.io/v1",
      kind: "NetworkAttachmentDefinition",
      metadata: { namespace, name: "core" },
      spec: {
        config: JSON.stringify({
          cniVersion: "1.0.0",
          plugins: [
            {
              type: "macvlan",
              master: cluster.uplink,
              ipam: { type: "static", addresses: [{ address: "10.92.0.7/24" }] },
            },
          ],
        }),
      },
    },
    podManifest(namespace, "router"),
  );
  await readyPod(cluster, namespace, "router");
  installed = await installLibrary(await cluster.makeFolder(), join(root, "examples/vnf-orchestrator"));
});

afterAll(async () => {
  await cluster.kubectl("-n", namespace, "delete", "pod", "router", "--grace-period=1");
  await cleanup.disposeAsync();
  for (const file of roles) await cluster.kubectl("delete", "--ignore-not-found", "-f", file);
});

/** The example, as the orchestrator's service account. */
async function orchestrate(env: NodeJS.ProcessEnv, ...args: readonly string[]): Promise<string> {
  const token = await cluster.kubectl("-n", namespace, "create", "token", "orchestrator");
  return await installed.run(process.execPath, ["orchestrator.ts", ...args], {
    KUBECONFIG: await tokenKubeconfig(cluster, token.trim(), namespace),
    PODPLUG_CA: served.authorityFile,
    PODPLUG_PORT: String(served.port),
    ...env,
  });
}

test("the example of an orchestrator plugs two networks into a running pod, verifies them, watches and unplugs", async () => {
  const output = await orchestrate({}, `${namespace}/router`, "access", "core");
  expect(output.split("\n").sort()).toEqual([
    "",
    "attached left",
    "attached right",
    "detached left",
    "detached right",
    expect.stringMatching(/^plugged left into access: 10\.91\..+ (\w\w:){5}\w\w$/),
    expect.stringMatching(/^plugged right into core: 10\.92\..+ (\w\w:){5}\w\w$/),
    "unplugged",
    "verified left and right",
  ]);
  expect(await served.agent.leases()).toEqual([]);
  const { run } = await podSandbox(await readyPod(cluster, namespace, "router"));
  expect(await run("ip", "-o", "link")).not.toMatch(/left|right/);
});

test("it does the same with a token from a file, as a pod has one projected", async () => {
  const folder = await cluster.makeFolder();
  const token = await cluster.kubectl(
    "-n",
    namespace,
    "create",
    "token",
    "orchestrator",
    "--audience=podplug",
  );
  await writeFile(join(folder, "token"), token);
  const output = await orchestrate(
    { PODPLUG_TOKEN: join(folder, "token") },
    `${namespace}/router`,
    "access",
    "core",
  );
  expect(output).toContain("verified left and right");
});

test("what can't pass by itself ends it with the reason, and nothing stays", async () => {
  await expect(orchestrate({}, `${namespace}/router`, "access", "other/core")).rejects.toThrow(
    /INVALID_|DENIED/,
  );
});
