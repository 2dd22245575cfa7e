import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readFirstNetwork, readNetworkFile } from "../../src/cni/network-files.ts";
import { untilDone } from "./runtime.ts";

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "podplug-conf-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function write(path: string, content: unknown): Promise<string> {
  const file = join(directory, path);
  await mkdir(join(file, ".."), { recursive: true });
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

const types = async (file: string): Promise<string[]> =>
  (await readNetworkFile(file, untilDone)).plugins.map(({ type }) => type);

test("the plugins of sibling files follow the inlined ones, by the files' names", async () => {
  const file = await write("10-blue.conflist", { name: "blue", plugins: [{ type: "bridge" }] });
  await write("blue/20-b.conf", { type: "tuning" });
  await write("blue/10-a.conf", { type: "portmap" });
  await write("blue/30-c.json", { type: "never" });
  await mkdir(join(directory, "blue/40-d.conf"));
  await write("green/10-a.conf", { type: "never" });
  expect(await types(file)).toEqual(["bridge", "portmap", "tuning"]);
});

test("a list may have nothing but sibling files, which may be links", async () => {
  const file = await write("blue.conflist", { name: "blue" });
  const target = await write("elsewhere/plugin.conf", { type: "bridge" });
  await mkdir(join(directory, "blue"));
  await symlink(target, join(directory, "blue/10.conf"));
  expect(await types(file)).toEqual(["bridge"]);
});

test.each([true, "true"])("loadOnlyInlinedPlugins %j leaves the sibling files alone", async (flag) => {
  const file = await write("blue.conflist", {
    name: "blue",
    loadOnlyInlinedPlugins: flag,
    plugins: [{ type: "bridge" }],
  });
  await write("blue/10.conf", "not even JSON");
  expect(await types(file)).toEqual(["bridge"]);
});

test("a single configuration has no sibling files", async () => {
  const file = await write("blue.conf", { name: "blue", type: "bridge" });
  await write("blue/10.conf", { type: "never" });
  expect(await types(file)).toEqual(["bridge"]);
});

test.each([
  ["the file", "blue.conflist", "{", "blue.conflist"],
  ["a sibling file", "blue/10.conf", "[]", "10.conf"],
  ["a sibling's type", "blue/10.conf", {}, "plugins[1].type"],
])("a fault in %s is named", async (_what, path, content, named) => {
  await write("blue.conflist", { name: "blue", plugins: [{ type: "bridge" }] });
  await write(path, content);
  await expect(readNetworkFile(join(directory, "blue.conflist"), untilDone)).rejects.toMatchObject({
    reason: "INVALID_NETWORK",
    message: expect.stringContaining(named),
  });
});

test("no plugin at all, and no file at all, are faults", async () => {
  const file = await write("blue.conflist", { name: "blue" });
  await expect(types(file)).rejects.toMatchObject({ reason: "INVALID_NETWORK" });
  await expect(types(join(directory, "nothing"))).rejects.toMatchObject({ reason: "INVALID_NETWORK" });
});

test("the node's own network is in the first file that is a configuration, whatever the next ones hold", async () => {
  const own = async () => (await readFirstNetwork(directory, untilDone))?.name;
  expect(await own()).toBeUndefined();
  await write("00-readme.txt", "nothing");
  await write("20-later.conf", "{");
  await write("10-own.conflist", { name: "own", plugins: [{ type: "bridge" }] });
  expect(await own()).toBe("own");
  await write("05-broken.json", "{");
  await expect(own()).rejects.toMatchObject({ message: expect.stringContaining("05-broken.json") });
  expect(await readFirstNetwork(join(directory, "nowhere"), untilDone)).toBeUndefined();
});
