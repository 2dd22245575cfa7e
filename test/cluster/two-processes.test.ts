import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { startAgentProgram } from "../agent/agent-program.ts";
import { startClusterAgent } from "./support/agent.ts";
import { eventually, useCluster } from "./support/cluster.ts";
import { podManifest, podSandbox, readyPod } from "./support/pods.ts";

const cluster = useCluster();
const networks = "k8s.v1.cni.cncf.io/networks";
const networkStatus = "k8s.v1.cni.cncf.io/network-status";

test("the controller in a process of its own plugs by the server's socket, and outlives the server", async () => {
  await using namespace = await cluster.makeNamespace();
  await using server = await startClusterAgent(cluster, { command: "server" });
  await cluster.apply(server.bridgeDefinition(namespace.name, "data"), podManifest(namespace.name, "web"));
  const pod = await readyPod(cluster, namespace.name, "web");
  const sandbox = await podSandbox(pod);
  const target = { kind: "pod", pod: { namespace: namespace.name, name: "web" } } as const;
  const annotate = (value: string): Promise<string> =>
    cluster.kubectl("-n", namespace.name, "annotate", "--overwrite", "pod", "web", value);
  const linkIs = (there: boolean): Promise<true> =>
    eventually(`net1 is ${there ? "there" : "gone"}`, async () =>
      (await sandbox.run("ip", "-br", "link")).includes("net1") === there ? true : undefined,
    );

  const keyFile = join(server.folder, "state/controller.key");
  expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  const command = ["controller", "--server", server.server];
  await annotate(`${networks}=data`);
  {
    await using controller = await startAgentProgram(server.configFile, [], command);
    await linkIs(true);
    const listed = await server.client.list({ target }, neverAborted);
    expect(listed.map(({ name, owner }) => [name, owner])).toEqual([
      ["eth0", ""],
      ["net1", "annotation/npwg"],
    ]);
    await eventually("the status tells it", async () => {
      const { metadata } = await readyPod(cluster, namespace.name, "web");
      return metadata.annotations?.[networkStatus]?.includes("net1") ? true : undefined;
    });

    server.program.kill("SIGKILL");
    await server.program.ended;
    await annotate(`${networks}-`);
    await server.start();
    await linkIs(false);
    // Some plugins give the address back after the link is gone.
    await eventually("the address is given back", async () =>
      (await server.leases()).length === 0 ? true : undefined,
    );
    controller.kill("SIGTERM");
    expect((await controller.ended).code).toBe(0);
  }

  // What is wished for while the controller is away is caught up on.
  await annotate(`${networks}=data`);
  await using _controller = await startAgentProgram(server.configFile, [], command);
  await linkIs(true);
});

test("the owner's names of the annotations stay closed to whoever has no key, or another server's", async () => {
  await using namespace = await cluster.makeNamespace();
  await using server = await startClusterAgent(cluster, { command: "server" });
  await cluster.apply(server.bridgeDefinition(namespace.name, "data"), podManifest(namespace.name, "web"));
  await readyPod(cluster, namespace.name, "web");
  await cluster.kubectl("-n", namespace.name, "annotate", "pod", "web", `${networks}=data`);

  const target = { kind: "pod", pod: { namespace: namespace.name, name: "web" } } as const;
  const request = { target, network: { name: "data" }, owner: "annotation/npwg" };
  await expect(server.client.attach(request, neverAborted)).rejects.toMatchObject({
    reason: "OWNER_RESERVED",
  });

  const other = await cluster.makeFolder();
  const config = JSON.parse(await readFile(server.configFile, "utf8")) as object;
  const configFile = join(other, "podplug.json");
  await writeFile(configFile, JSON.stringify({ ...config, stateDir: other }));
  await writeFile(join(other, "controller.key"), `${"0".repeat(64)}\n`);
  await using controller = await startAgentProgram(configFile, [], ["controller", "--server", server.server]);
  await eventually("the controller is refused", async () =>
    controller.log().find(({ facts }) => facts["reason"] === "UNAUTHENTICATED"),
  );
  expect(await server.leases()).toEqual([]);
});
