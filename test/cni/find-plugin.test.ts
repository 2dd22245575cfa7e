import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findPlugin } from "../../src/cni/find-plugin.ts";

let root: string;
let first: string;
let second: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "podplug-find-"));
  first = join(root, "first");
  second = join(root, "second");
  await mkdir(first);
  await mkdir(second);
});
afterEach(() => rm(root, { recursive: true }));

async function program(path: string, mode = 0o755): Promise<void> {
  await writeFile(path, "#!/bin/sh\n");
  await chmod(path, mode);
}

test("the first directory that holds the plugin wins", async () => {
  await program(join(second, "bridge"));
  expect(findPlugin("bridge", [first, second])).toBe(join(second, "bridge"));
  await program(join(first, "bridge"));
  expect(findPlugin("bridge", [first, second])).toBe(join(first, "bridge"));
});

test("links are followed", async () => {
  await program(join(root, "real"));
  await symlink(join(root, "real"), join(first, "bridge"));
  expect(findPlugin("bridge", [first])).toBe(join(first, "bridge"));
});

test("a directory, a file that isn't executable and a link to nowhere are passed over", async () => {
  await mkdir(join(first, "dir"));
  await program(join(first, "plain"), 0o644);
  await symlink(join(root, "nowhere"), join(first, "link"));
  for (const type of ["dir", "plain", "link"]) {
    expect(failing(() => findPlugin(type, [first, second]))).toMatchObject({
      reason: "PLUGIN_NOT_FOUND",
      plugin: type,
    });
    await program(join(second, type));
    expect(findPlugin(type, [first, second])).toBe(join(second, type));
  }
});

test("what isn't found is named with the directories, and with what was found instead", async () => {
  await program(join(first, "plain"), 0o644);
  expect(failing(() => findPlugin("plain", [first, second, join(root, "absent")]))).toMatchObject({
    message: `plugin plain isn't installed: searched ${first}, ${second}, ${root}/absent; ${first}/plain isn't executable`,
  });
});

test.each(["", ".", "..", "../first/bridge", "/bin/sh", "a/b", "a\0"])("%j leads nowhere", async (type) => {
  await program(join(first, "bridge"));
  expect(failing(() => findPlugin(type, [first, second]))).toMatchObject({ reason: "INVALID_NETWORK" });
});

test("a relative directory is never searched", async () => {
  expect(failing(() => findPlugin("sh", ["bin", ".", ""]))).toMatchObject({ reason: "PLUGIN_NOT_FOUND" });
});

function failing(work: () => unknown): unknown {
  try {
    return work();
  } catch (error) {
    return error;
  }
}
