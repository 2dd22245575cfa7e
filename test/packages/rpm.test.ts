import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { buildRpm } from "../../scripts/packages/rpm.ts";
import { makeNetns, type TestNetns } from "../support/netns.ts";
import { configure, layOutLater, linkOf, packages, podplugFiles, records, run, unit } from "./machine.ts";

/*
 * One machine's life with the package, from a test to the next one. Debian's
 * own packages are unknown to rpm: what ours needs isn't looked for.
 */

const before = await podplugFiles();
const rpm = (...args: readonly string[]): Promise<string> => run("rpm", "--nodeps", ...args);
let pod: TestNetns;
let configuration: string;
let attached: Awaited<ReturnType<typeof linkOf>>;

test("the package brings the deb's files", async () => {
  const listed = (text: string): readonly string[] => text.trim().split("\n").toSorted();
  const inDeb = (await run("dpkg-deb", "--contents", packages.deb))
    .split("\n")
    .map((line) => /^[-l]\S+.* \.(\/\S+)(?: -> .*)?$/.exec(line)?.[1])
    .filter((path) => path !== undefined);
  const inRpm = await run(
    "rpm",
    "--query",
    "--package",
    "--queryformat",
    "[%{FILEMODES:perms} %{FILENAMES}\\n]",
    packages.rpm,
  );
  const files = listed(inRpm)
    .filter((line) => !line.startsWith("d"))
    .map((line) => line.split(" ")[1] ?? "");
  expect(files.toSorted()).toEqual(inDeb.toSorted());
  expect(await run("rpm", "--query", "--package", "--configfiles", packages.rpm)).toBe(
    "/etc/podplug/config.yaml\n",
  );
});

test("installing it where no systemd runs, as in an image, enables the agent where the presets do", async () => {
  const hidden = 'mount -t tmpfs tmpfs /run/systemd && rpm --nodeps --install "$1"';
  await run("unshare", "--mount", "sh", "-c", hidden, "sh", packages.rpm);
  expect(existsSync("/etc/systemd/system/multi-user.target.wants/podplug.service")).toBe(true);
  expect(await unit("ActiveState")).toBe("inactive");
  await rpm("--erase", "podplug");
});

test("installing it starts the agent where the presets enable it", async () => {
  await rpm("--install", packages.rpm);
  expect([await unit("ActiveState"), await unit("UnitFileState")]).toEqual(["active", "enabled"]);
});

test("an upgrade starts the new agent, and keeps the edited configuration and what is plugged", async () => {
  configuration = await configure();
  pod = await makeNetns();
  await run("podplug", "attach", "--netns", pod.name, "blue", "--interface", "data0");
  attached = await linkOf(pod, "data0");
  const pid = await unit("MainPID");
  await rpm("--upgrade", buildRpm(await layOutLater("99.1")));
  expect(await unit("ActiveState")).toBe("active");
  expect(await unit("MainPID")).not.toBe(pid);
  expect(await readFile("/etc/podplug/config.yaml", "utf8")).toBe(configuration);
  expect(attached).toBeDefined();
  expect(await linkOf(pod, "data0")).toEqual(attached);
});

test("removing it stops the agent, and keeps what is plugged with its records, and the edited configuration", async () => {
  expect(await rpm("--erase", "podplug")).toContain("what is plugged stays in the running pods");
  expect(existsSync("/run/podplug/podplug.sock")).toBe(false);
  expect(await linkOf(pod, "data0")).toEqual(attached);
  expect(await records()).toHaveLength(1);
  expect(await readFile("/etc/podplug/config.yaml.rpmsave", "utf8")).toBe(configuration);
});

test("installed again it unplugs that, and removed it leaves the edited configuration and an empty state", async () => {
  await rpm("--install", packages.rpm);
  await configure();
  await run("podplug", "detach", "--netns", pod.name, "blue");
  expect(await linkOf(pod, "data0")).toBeUndefined();
  await pod[Symbol.asyncDispose]();
  // Masked, an agent can't be disabled.
  await run("systemctl", "mask", "podplug.service");
  await rpm("--erase", "podplug");
  await run("systemctl", "unmask", "podplug.service");
  expect(await podplugFiles()).toEqual(
    [
      ...before,
      "/etc/podplug",
      "/run/podplug",
      "/run/podplug/podplug.sock.lock",
      "/var/lib/podplug",
    ].toSorted(),
  );
  expect(await records()).toEqual([]);
});
