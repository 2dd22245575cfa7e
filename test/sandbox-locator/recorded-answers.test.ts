import { expect, test } from "vitest";
import { PodSandboxState } from "../../gen/runtime/v1/api_pb.ts";
import { parseSandboxInfo } from "../../src/sandbox/cri/info.ts";
import { containerShape } from "../../src/sandbox/docker/shapes.ts";
import { recorded, recordedList, recordedStatus } from "../support/recorded-runtime.ts";

test.each([
  [
    "containerd-2.1-sandbox",
    {
      netnsPaths: ["/var/run/netns/cni-abe184aa-9b0a-301d-59aa-6045df39daf5", "/proc/23359/ns/net"],
      runtimeType: "io.containerd.runc.v2",
    },
  ],
  // Its namespaces are pinned: no process of its own is in the sandbox.
  ["crio-1.36-sandbox", { netnsPaths: ["/run/netns/8bcce4f5-58b7-425b-854f-64495b816db1"] }],
  [
    "containerd-2.1-stopped-sandbox",
    {
      netnsPaths: ["/var/run/netns/cni-14c2206a-1e0e-5c04-0707-971cf0f84ef5"],
      runtimeType: "io.containerd.runc.v2",
    },
  ],
])("%s says where the namespace is", (name, info) => {
  expect(parseSandboxInfo(recordedStatus(name).info)).toEqual(info);
});

test.each([
  ["containerd-2.1-list", "rec2", PodSandboxState.SANDBOX_READY],
  ["containerd-2.1-list-stopped", "rec3", PodSandboxState.SANDBOX_NOTREADY],
  ["crio-1.36-list", "rec1", PodSandboxState.SANDBOX_READY],
])("%s lists a pod with what it is found by", (file, name, state) => {
  const [sandbox, ...others] = recordedList(file).items;
  expect(others).toEqual([]);
  expect(sandbox).toMatchObject({
    state,
    metadata: { namespace: "default", name },
    labels: {
      "io.kubernetes.pod.namespace": "default",
      "io.kubernetes.pod.name": name,
      "io.kubernetes.pod.uid": sandbox?.metadata?.uid,
    },
  });
});

test("Docker tells of a container what is read of it, whatever its network", () => {
  const read = (name: string): unknown => containerShape.parse(recorded(name));
  expect(read("docker-28.5-none-network")).toMatchObject({
    State: { Running: true, Pid: 24912 },
    HostConfig: { NetworkMode: "none", Runtime: "runc" },
    NetworkSettings: { SandboxKey: "/run/docker-exec/netns/8c4f95bf39d3" },
  });
  expect(read("docker-28.5-shared-network")).toMatchObject({
    State: { Running: true, Pid: 24971 },
    HostConfig: { NetworkMode: expect.stringMatching(/^container:274ab01b/) },
    NetworkSettings: { SandboxKey: "" },
  });
  expect(read("docker-28.5-stopped")).toMatchObject({
    State: { Running: false, Pid: 0 },
    NetworkSettings: { SandboxKey: "" },
  });
});
