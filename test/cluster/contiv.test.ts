import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startAgentProgram } from "../agent/agent-program.ts";
import { example } from "../contiv/example.ts";
import { startClusterAgent } from "./support/agent.ts";
import { eventually, run, useCluster } from "./support/cluster.ts";
import { podManifest, podSandbox, readyPod } from "./support/pods.ts";

const cluster = useCluster();

test("contiv's intent plugs the kubelet's pods, by a server and a controller in processes of their own", async () => {
  await using namespace = await cluster.makeNamespace();
  const intentFile = join(await cluster.makeFolder(), "intent.json");
  const write = (intent: unknown): Promise<void> => writeFile(intentFile, JSON.stringify(intent));
  const [tenant] = example.Tenants;
  const orange = { Name: "orange", Endpoints: [{ Container: "container1" }, { Container: "container3" }] };
  await write({ ...example, Tenants: [{ ...tenant, Networks: [orange] }] });
  await using server = await startClusterAgent(cluster, {
    command: "server",
    config: { contiv: { intentFile, hostLabel: "host1" } },
  });
  await using _controller = await startAgentProgram(
    server.configFile,
    [],
    ["controller", "--server", server.server],
  );
  const names = ["container1", "container3", "web"] as const;
  await cluster.apply(...names.map((name) => podManifest(namespace.name, name)));
  const sandboxes = new Map<string, Awaited<ReturnType<typeof podSandbox>>>();
  for (const name of names) {
    sandboxes.set(name, await podSandbox(await readyPod(cluster, namespace.name, name)));
  }
  const addressIs = (name: string, address: string): Promise<true> =>
    eventually(`net1 of ${name} is ${address || "gone"}`, async () => {
      const links = (await sandboxes.get(name)?.run("ip", "-br", "addr", "show")) ?? "";
      const line = links.split("\n").find((each) => each.startsWith("net1")) ?? "";
      return (address === "" ? line === "" : line.includes(` ${address} `)) ? true : undefined;
    });

  await addressIs("container1", "11.1.0.1/24");
  await addressIs("container3", "11.1.0.2/24");
  await addressIs("web", "");
  await eventually("container1 reaches container3", async () =>
    sandboxes
      .get("container1")
      ?.run("ping", "-c", "1", "-W", "1", "11.1.0.2")
      .then(
        () => true as const,
        () => undefined,
      ),
  );
  await eventually("the status tells it", async () => {
    const { metadata } = await readyPod(cluster, namespace.name, "container1");
    const status = metadata.annotations?.["k8s.v1.cni.cncf.io/network-status"] ?? "";
    return status.includes('"tenant-one/orange"') ? true : undefined;
  });

  await cluster.kubectl("-n", namespace.name, "delete", "pod", "container3", "--now");
  await write({ ...example, Tenants: [] });
  await addressIs("container1", "");
  await eventually("the bridge is gone", async () =>
    (await run("ip", ["-br", "link"])).includes("ppvx10001") ? undefined : true,
  );
  expect(await run("ip", ["-br", "link"])).not.toContain("ppvx");
});
