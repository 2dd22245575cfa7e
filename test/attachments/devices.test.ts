import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { failure } from "../support/failure.ts";
import { createWorld } from "./world.ts";

const deviceId = "0000:03:02.1";

async function createDeviceWorld() {
  const world = await createWorld();
  const pod = { namespace: "demo", name: "web", uid: "u-1" };
  await world.sandboxes.addPod(pod);
  const target = { kind: "pod", pod } as const;
  const request = { target, network: { name: "blue", interface: "net1", deviceId } };
  return { ...world, request };
}

test("a device is plugged into the pod that the kubelet gave it to, by whoever asks", async () => {
  const { devices, as, request } = await createDeviceWorld();
  devices.allocate("demo/web", "0000:03:02.0", deviceId);
  expect((await as("operator").attach(request, neverAborted)).created).toBe(true);
});

test.each([
  ["operator", false],
  ["controller", true],
] as const)("a device of another pod is refused to the %s", async (name, reconciler) => {
  const { devices, as, request, journal } = await createDeviceWorld();
  devices.allocate("demo/db", deviceId);
  const refused = failure(
    "DEVICE_NOT_ALLOCATED",
    `device ${deviceId} isn't one that the kubelet gave to pod demo/web`,
  );
  await expect(as(name, reconciler).attach(request, neverAborted)).rejects.toEqual(refused);
  await expect(as(name, reconciler).attach({ ...request, validateOnly: true }, neverAborted)).rejects.toEqual(
    refused,
  );
  expect(await journal.load()).toEqual([]);
});

test("no device is plugged into what is no pod, but by the node's root", async () => {
  const { engine, as, addNetns } = await createDeviceWorld();
  const request = {
    target: await addNetns("/run/netns/a"),
    network: { name: "blue", interface: "net1", deviceId },
  };
  await expect(as("operator").attach(request, neverAborted)).rejects.toEqual(
    failure("DEVICE_NOT_ALLOCATED", "no pod's"),
  );
  const root = engine.forCaller({ name: "unix-socket", reconciler: false, root: true });
  expect((await root.attach(request, neverAborted)).created).toBe(true);
});

test("while the kubelet is away nobody but root plugs a device, and all plug anything else", async () => {
  const { devices, as, request } = await createDeviceWorld();
  devices.failWith(new PodplugError("UNREACHABLE", "the kubelet can't be reached"));
  await expect(as("operator").attach(request, neverAborted)).rejects.toEqual(failure("UNREACHABLE"));
  const { deviceId: _without, ...network } = request.network;
  expect((await as("operator").attach({ ...request, network }, neverAborted)).created).toBe(true);
});
