import { describe, expect, test } from "vitest";
import { createKubeletDevices } from "../../src/devices/kubelet.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { deviceAllocationsContract } from "../contracts/device-allocations.ts";
import { startClusterAgent } from "./support/agent.ts";
import { eventually, useCluster } from "./support/cluster.ts";
import { startDevicePlugin } from "./support/device-plugin.ts";
import { podManifest, readyPod } from "./support/pods.ts";

const cluster = useCluster();
const podResourcesSocketPath = "/run/podplug-cluster/kubelet/pod-resources/kubelet.sock";
const deviceIds = ["0000:03:02.0", "0000:03:02.1", "0000:03:02.2"];
let resources = 0;

/** A resource of three devices, and pods that are given some of them. */
async function createDeviceWorld() {
  await using stack = new AsyncDisposableStack();
  resources += 1;
  const resource = `example.org/vf-${resources}`;
  const namespaces = [
    stack.use(await cluster.makeNamespace()).name,
    stack.use(await cluster.makeNamespace()).name,
  ] as const;
  stack.use(await startDevicePlugin(resource, deviceIds));
  await eventually("the node has the devices", async () => {
    const node = await cluster.kubectl("get", "node", "lab", "-o", "json");
    const { status } = JSON.parse(node) as { status: { allocatable: Record<string, string> } };
    return status.allocatable[resource] === "3" ? true : undefined;
  });
  const devices = stack.use(createKubeletDevices({ socketPath: podResourcesSocketPath }));
  const held = stack.move();

  async function allocate(pod: string, count: number): Promise<readonly string[]> {
    const [namespace = "", name = ""] = pod.split("/");
    const { spec, ...manifest } = podManifest(namespace, name);
    const limits = { [resource]: `${count}` };
    const containers = spec.containers.map((container) => ({ ...container, resources: { limits } }));
    await cluster.apply({ ...manifest, spec: { ...spec, containers } });
    await readyPod(cluster, namespace, name);
    // Which ones is the kubelet's choice: the contract looks at how many, and that nobody else has them.
    return [...(await devices.of({ namespace, name }, neverAborted))].toSorted();
  }
  return { devices, namespaces, allocate, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

describe("devices by the real kubelet", () => {
  deviceAllocationsContract(createDeviceWorld);
});

test("a pod is plugged with its own device, whether an annotation or a caller names it, and with no other", async () => {
  await using world = await createDeviceWorld();
  const [namespace] = world.namespaces;
  await using agent = await startClusterAgent(cluster, { config: { podResourcesSocketPath } });
  await cluster.apply(agent.bridgeDefinition(namespace, "data", { capabilities: { deviceID: true } }));
  const own = await world.allocate(`${namespace}/web`, 1);
  const other = deviceIds.find((id) => !own.includes(id));
  const annotate = (deviceID: string | undefined): Promise<string> =>
    cluster.kubectl(
      "-n",
      namespace,
      "annotate",
      "--overwrite",
      "pod",
      "web",
      `k8s.v1.cni.cncf.io/networks=${JSON.stringify([{ name: "data", deviceID }])}`,
    );
  const target = { kind: "pod", pod: { namespace, name: "web" } } as const;
  const plugged = async (): Promise<readonly string[]> =>
    (await agent.client.list({ target }, neverAborted))
      .map(({ deviceId }) => deviceId)
      .filter((id) => id !== "");

  await annotate(other);
  await eventually("the refusal is told as an event", async () => {
    const events = await cluster.kubectl("-n", namespace, "get", "events", "-o", "json");
    return events.includes("DEVICE_NOT_ALLOCATED") ? true : undefined;
  });
  expect(await plugged()).toEqual([]);
  await annotate(own[0]);
  await eventually("the pod's own device is plugged", async () =>
    (await plugged()).length === 1 ? true : undefined,
  );
  expect(await plugged()).toEqual(own);
  const attach = (deviceId: string | undefined) =>
    agent.client.attach({ target, network: { name: "data", interface: "root0", deviceId } }, neverAborted);
  // The socket is root's, who could move any device without podplug.
  await expect(attach(other)).resolves.toMatchObject({ created: true });
});
