import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createHostPaths, withPathsSeen } from "../../src/agent/host-paths.ts";
import { parseConfig } from "../../src/config.ts";

let root: string;

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "podplug-host-")));
  await mkdir(join(root, "run/netns"), { recursive: true });
  await mkdir(join(root, "var/lib"), { recursive: true });
  await symlink("/run", join(root, "var/run"));
  await symlink("../../../../run", join(root, "var/lib/far"));
  await symlink("loop", join(root, "loop"));
  await symlink("/proc/mounts", join(root, "mtab"));
  await writeFile(join(root, "run/netns/a"), "");
});
afterAll(() => rm(root, { recursive: true }));

test("on the host itself a path is where it says", () => {
  expect(createHostPaths("")("/var/run/netns/a")).toBe("/var/run/netns/a");
});

test.each([
  ["a plain path", "/run/netns/a", "/run/netns/a"],
  ["a path through an absolute link", "/var/run/netns/a", "/run/netns/a"],
  ["a link that climbs above the root", "/var/lib/far/netns", "/run/netns"],
  ["a path that climbs above the root", "/../../run/netns/a", "/run/netns/a"],
  ["what isn't there", "/var/run/netns/none/below", "/run/netns/none/below"],
  ["what lies below a file", "/run/netns/a/below", "/run/netns/a/below"],
  ["a namespace of a process, whose link has no text to follow", "/proc/1/ns/net", "/proc/1/ns/net"],
  ["a link into /proc", "/mtab", "/proc/mounts"],
])("%s is found below the host's root, at once as patiently", async (_what, path, found) => {
  const seenAt = createHostPaths(root);
  expect(seenAt(path)).toBe(join(root, found));
  expect(await seenAt.patiently(path)).toBe(join(root, found));
});

test("a loop is left to whoever opens it", () => {
  expect(createHostPaths(root)("/loop/a")).toBe(join(root, "loop/a"));
});

test("the configuration's places of the host are found below its root, and the agent's own stay", () => {
  const seenAt = createHostPaths(root);
  const stateDir = "/var/run/state";
  const config = parseConfig(JSON.stringify({ stateDir, cni: { confDir: "/var/run/net.d" } }), "test");
  const { cni, dockerSocketPath, podResourcesSocketPath, ...others } = withPathsSeen(config, seenAt);
  expect(cni).toEqual({
    ...config.cni,
    confDir: join(root, "run/net.d"),
    cacheDirs: [join(root, "var/lib/cni/multus"), join(root, "var/lib/cni")],
  });
  expect(dockerSocketPath).toBe(join(root, "run/docker.sock"));
  expect(podResourcesSocketPath).toBe(join(root, "var/lib/kubelet/pod-resources/kubelet.sock"));
  expect({ ...config, ...others }).toEqual(config);
});
