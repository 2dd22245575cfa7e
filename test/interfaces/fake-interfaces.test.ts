import { describe, expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { isSameNetns } from "../../src/interfaces/contract.ts";
import { interfaceReaderContract } from "../contracts/interface-reader.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { failure } from "../support/failure.ts";

describe("the fake kernel reads as the real one", () => {
  interfaceReaderContract(async () => {
    const fake = createFakeInterfaces();
    fake.addNetns("/run/netns/a");
    fake.addPath("/proc/7/ns/net", "/run/netns/a");
    fake.addNetns("/run/netns/b");
    fake.addFile("/etc/passwd");
    return {
      reader: fake,
      netns: "/run/netns/a",
      alias: "/proc/7/ns/net",
      otherNetns: "/run/netns/b",
      nothing: "/run/netns/none",
      notNamespaces: ["/etc/passwd"],
      addLink: async (netns, link) => void fake.addLink(netns, link),
      renameLink: async (netns, from, to) => void fake.changeLink(netns, from, { name: to }),
      removeLink: async (netns, name) => fake.removeLink(netns, name),
      async [Symbol.asyncDispose]() {},
    };
  });
});

const { signal } = new AbortController();

test("a recycled namespace has the old inode and another cookie", async () => {
  const fake = createFakeInterfaces();
  fake.addNetns("/run/netns/a");
  fake.addLink("/run/netns/a", { name: "net1" });
  const before = await fake.identify("/run/netns/a", signal);
  fake.recycleNetns("/run/netns/a");
  const after = await fake.identify("/run/netns/a", signal);
  expect(after.inode).toBe(before.inode);
  expect(isSameNetns(before, after)).toBe(false);
  expect(fake.links("/run/netns/a")).toEqual([]);
});

test("after a reboot there are no namespaces, and the boot ID is another one", async () => {
  const fake = createFakeInterfaces();
  fake.addNetns("/run/netns/a");
  const before = await fake.identify("/run/netns/a", signal);
  fake.reboot();
  await expect(fake.identify("/run/netns/a", signal)).rejects.toEqual(failure("TARGET_NOT_FOUND"));
  fake.addNetns("/run/netns/a");
  expect((await fake.identify("/run/netns/a", signal)).bootId).not.toBe(before.bootId);
});

test("a failure is answered until it is cleared", async () => {
  const fake = createFakeInterfaces();
  fake.addNetns("/run/netns/a");
  fake.failWith(new PodplugError("INTERNAL", "the kernel is busy"));
  await expect(fake.list({ netnsPath: "/run/netns/a" }, signal)).rejects.toEqual(failure("INTERNAL"));
  fake.failWith(undefined);
  expect(await fake.list({ netnsPath: "/run/netns/a" }, signal)).toEqual([]);
});
