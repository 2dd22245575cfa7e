import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { run, useCluster } from "./support/cluster.ts";
import { startDocker } from "./support/docker.ts";
import { buildImage, makeImageContext } from "./support/image.ts";
import { podManifest, readyPod } from "./support/pods.ts";
import { typedCommands } from "./support/typed.ts";

/* docs/installing-kubernetes.md, typed as it stands on a cluster that has the image and nothing else of podplug's. */

const cluster = useCluster();
const root = join(import.meta.dirname, "../..");
const rights = join(root, "deploy/rbac.yaml");
const page = await readFile(join(root, "docs/installing-kubernetes.md"), "utf8");

beforeAll(async () => {
  await using docker = await startDocker(cluster);
  const { socketPath } = docker;
  await buildImage({ socketPath, context: await makeImageContext(cluster), version: packageJson.version });
  await cluster.kubectl("delete", "-f", rights);
  await cluster.apply(podManifest("default", "web"));
  await readyPod(cluster, "default", "web");
}, 240_000);

afterAll(async () => {
  await cluster.kubectl("delete", "pod", "web", "--grace-period=1");
  // Of the cluster's other tests.
  await cluster.kubectl("apply", "-f", rights);
});

async function type(heading: string): Promise<string> {
  const section = page.split(/^## /m).find((each) => each.startsWith(`${heading}\n`)) ?? "";
  const commands = typedCommands(section);
  expect(commands).not.toHaveLength(0);
  return await run("bash", ["-c", ["set -e", `cd '${root}'`, "PATH=$PWD/bin:$PATH", ...commands].join("\n")]);
}

describe("what the page says can be typed,", { timeout: 180_000 }, () => {
  test("and installs agents that answer", async () => {
    const said = await type("In five minutes");
    expect(said).toContain("successfully rolled out");
    expect(said).toMatch(/^NODE +lab\nVERSION +\d+\.\d+\.\d+\nRUNTIME +cri containerd /m);
  });

  test("and gives them certificates, a port, and a caller who may use it", async () => {
    await type("As you need it");
    const said = await type("The TLS port");
    expect(said).toContain("successfully rolled out");
    expect(said).toMatch(/^default\/web +eth0 /m);
  });

  test("and shows what they log", async () => {
    expect(await type("Monitoring")).toContain('"msg"');
  });

  test("and removes all of it", async () => {
    await type("Removal");
    const left = await cluster.kubectl(
      "get",
      "namespaces,clusterroles,clusterrolebindings,validatingadmissionpolicies",
      "-o",
      "name",
    );
    expect(left.split("\n").filter((name) => /podplug-(?!orchestrator)|\/podplug$/.test(name))).toEqual([]);
  });

  test("and does the same by Helm", async () => {
    const said = await type("With Helm");
    expect(said.match(/successfully rolled out/g)).toHaveLength(2);
    expect(said).toContain('release "podplug" uninstalled');
    await cluster.kubectl("delete", "-f", join(root, "examples/rbac/orchestrator.yaml"));
  });
});
