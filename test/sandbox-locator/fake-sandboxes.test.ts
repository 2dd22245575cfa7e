import { describe, expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import {
  type NamespaceWorld,
  namespaceLocatorContract,
  type PodWorld,
  podLocatorContract,
} from "../contracts/sandbox-locator.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { createFakeSandboxes } from "../fakes/fake-sandboxes.ts";
import { failure } from "../support/failure.ts";

const { signal } = new AbortController();
const web = { namespace: "demo", name: "web" };

describe("the fake runtime locates as a real one", () => {
  const makeWorld = async (): Promise<NamespaceWorld & PodWorld> => {
    const interfaces = createFakeInterfaces();
    const sandboxes = createFakeSandboxes(interfaces);
    interfaces.addFile("/etc/passwd");
    let made = 0;
    return {
      locator: sandboxes,
      interfaces,
      namespaces: {
        async add() {
          made += 1;
          interfaces.addNetns(`/run/netns/bare-${made}`);
          interfaces.addPath(`/proc/${made}/ns/net`, `/run/netns/bare-${made}`);
          return [`/run/netns/bare-${made}`, `/proc/${made}/ns/net`];
        },
        nothing: "/run/netns/none",
        notNamespace: "/etc/passwd",
      },
      pods: {
        async add(ref) {
          const containerId = `${ref.name}-container`;
          const { pod } = await sandboxes.addPod(ref, { containerId });
          return { uid: pod?.uid ?? "", containerId };
        },
        replaceSandbox: async (ref) => void (await sandboxes.replaceSandbox(ref)),
        stop: async (ref) => sandboxes.stopPod(ref),
        remove: async (ref) => sandboxes.removePod(ref),
      },
      async [Symbol.asyncDispose]() {},
    };
  };
  describe("a namespace", () => {
    namespaceLocatorContract(makeWorld);
  });
  describe("a pod", () => {
    podLocatorContract(makeWorld);
  });
});

test("a pod's own namespace leads to the pod's sandbox", async () => {
  const sandboxes = createFakeSandboxes(createFakeInterfaces());
  const sandbox = await sandboxes.addPod(web);
  expect(await sandboxes.locate({ kind: "netns", netns: sandbox.netnsPath }, signal)).toEqual(sandbox);
});

test("a pod starts with its eth0, unless told not to", async () => {
  const interfaces = createFakeInterfaces();
  const sandboxes = createFakeSandboxes(interfaces);
  const { netnsPath } = await sandboxes.addPod(web);
  expect(interfaces.links(netnsPath)).toMatchObject([{ name: "eth0" }]);
  const bare = await sandboxes.addPod({ namespace: "demo", name: "bare" }, { eth0: false });
  expect(interfaces.links(bare.netnsPath)).toEqual([]);
});

test("after a reboot of its kernel a pod gets a new sandbox", async () => {
  const interfaces = createFakeInterfaces();
  const sandboxes = createFakeSandboxes(interfaces);
  const before = await sandboxes.addPod(web);
  interfaces.reboot();
  const after = await sandboxes.replaceSandbox(web);
  expect(after.netns.bootId).not.toBe(before.netns.bootId);
});

test("a runtime that is away answers with its failure until it is back", async () => {
  const sandboxes = createFakeSandboxes(createFakeInterfaces());
  sandboxes.failWith(new PodplugError("UNREACHABLE", "the runtime is away"));
  await expect(sandboxes.list(signal)).rejects.toEqual(failure("UNREACHABLE"));
  sandboxes.failWith(undefined);
  expect(await sandboxes.list(signal)).toEqual([]);
});
