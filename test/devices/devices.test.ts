import { describe, expect, test } from "vitest";
import { createKubeletDevices } from "../../src/devices/kubelet.ts";
import { deviceAllocationsContract } from "../contracts/device-allocations.ts";
import { createFakeDevices } from "../fakes/fake-devices.ts";
import { failure } from "../support/failure.ts";
import { startFakeKubelet } from "./fake-kubelet.ts";

const { signal } = new AbortController();
const namesOf = (pod: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_none, index) => `0000:${pod}:00.${index}`);

describe("devices in memory", () => {
  deviceAllocationsContract(async () => {
    const devices = createFakeDevices();
    return {
      devices,
      namespaces: ["demo", "other"],
      async allocate(pod, count) {
        devices.allocate(pod, ...namesOf(pod, count));
        return namesOf(pod, count);
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  });
});

describe("devices by the kubelet's socket", () => {
  deviceAllocationsContract(async () => {
    const kubelet = await startFakeKubelet();
    const devices = createKubeletDevices({ socketPath: kubelet.socketPath });
    return {
      devices,
      namespaces: ["demo", "other"],
      async allocate(pod, count) {
        kubelet.allocate(pod, namesOf(pod, count));
        return namesOf(pod, count);
      },
      async [Symbol.asyncDispose]() {
        devices[Symbol.dispose]();
        await kubelet[Symbol.asyncDispose]();
      },
    };
  });

  test("are UNREACHABLE while the kubelet is away", async () => {
    using devices = createKubeletDevices({ socketPath: "/nonexistent/kubelet.sock" });
    const asked = devices.of({ namespace: "demo", name: "web" }, signal);
    await expect(asked).rejects.toEqual(failure("UNREACHABLE", "the kubelet at /nonexistent/kubelet.sock"));
  });
});
