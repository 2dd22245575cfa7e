import { expect, test } from "vitest";
import { neverAborted } from "../../src/domain/signals.ts";
import { startClusterAgent } from "./support/agent.ts";
import { eventually, useCluster } from "./support/cluster.ts";
import { deploymentManifest, type Pod, podSandbox, readyPods } from "./support/pods.ts";

const cluster = useCluster();
const networks = "k8s.v1.cni.cncf.io/networks";
const networkStatus = "k8s.v1.cni.cncf.io/network-status";

interface StatusEntry {
  readonly name: string;
  readonly interface: string;
  readonly ips: readonly string[];
  readonly mac: string;
  readonly default?: boolean;
}

test("an annotation plugs a network into a running pod, traffic crosses it, and its removal unplugs it", async () => {
  await using namespace = await cluster.makeNamespace();
  await using agent = await startClusterAgent(cluster);
  await cluster.apply(agent.bridgeDefinition(namespace.name, "data"));
  await cluster.apply(deploymentManifest(namespace.name, "web", 2));
  const pods = await readyPods(cluster, namespace.name, "app=web", 2);
  const before = pods.map(containersOf);
  const annotate = async (pod: Pod, value: string): Promise<void> => {
    await cluster.kubectl("-n", namespace.name, "annotate", "--overwrite", "pod", pod.metadata.name, value);
  };
  const statusOf = async (pod: Pod): Promise<readonly StatusEntry[]> => {
    const now = await cluster.kubectlJson<Pod>("-n", namespace.name, "get", "pod", pod.metadata.name);
    return JSON.parse(now.metadata.annotations?.[networkStatus] ?? "[]") as StatusEntry[];
  };

  for (const pod of pods) await annotate(pod, `${networks}=data@net1`);
  const addresses = await Promise.all(
    pods.map((pod) =>
      eventually(`${pod.metadata.name} has net1 in its status`, async () => {
        const entry = (await statusOf(pod)).find((each) => each.interface === "net1");
        return entry?.ips[0];
      }),
    ),
  );
  expect(await agent.leases()).toHaveLength(2);
  const [first, second] = await Promise.all(pods.map((pod) => podSandbox(pod)));
  await first?.run("ping", "-c", "1", "-W", "5", "-I", "net1", addresses[1] ?? "");
  expect(await second?.run("ip", "-br", "addr", "show", "net1")).toContain(addresses[1]);
  const [pod] = pods;
  if (!pod) throw new Error("no pod");
  const target = { kind: "pod", pod: { namespace: namespace.name, name: pod.metadata.name } } as const;
  const listed = await agent.client.list({ target }, neverAborted);
  expect(listed.map((view) => [view.name, view.origin, view.owner])).toEqual([
    ["eth0", "pod", ""],
    ["net1", "podplug", "annotation/npwg"],
  ]);
  const status = await statusOf(pod);
  expect(status).toMatchObject([
    { name: "cluster", interface: "eth0", default: true },
    { name: `${namespace.name}/data`, interface: "net1" },
  ]);

  for (const each of pods) await annotate(each, `${networks}-`);
  await eventually("both are unplugged", async () =>
    (await agent.leases()).length === 0 ? true : undefined,
  );
  expect(await first?.run("ip", "-br", "link")).not.toContain("net1");
  await eventually("the status drops it", async () =>
    (await statusOf(pod)).length === 1 ? true : undefined,
  );
  const after = await readyPods(cluster, namespace.name, "app=web", 2);
  expect(after.map(containersOf)).toEqual(before);
});

/** When each container started, and how often: a restart would show. */
function containersOf(pod: Pod) {
  return pod.status.containerStatuses?.map(({ restartCount, state, containerID }) => ({
    containerID,
    restartCount,
    startedAt: state.running?.startedAt,
  }));
}
