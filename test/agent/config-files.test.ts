import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { loadConfig } from "../../src/agent/config-files.ts";
import { parseConfig } from "../../src/config.ts";

async function directory(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "podplug-config-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

test("of a directory's files a later one, by its name, has the last word on a key", async () => {
  const folder = await directory({
    "podplug.yaml": "hostRoot: /host\nruntime: cri\ncni: { timeoutSeconds: 10, gc: [a, b] }\n",
    "tls.json": '{"api": {"listen": "0.0.0.0:7654"}, "runtime": "docker"}',
    "zone.yml": "cni: { gc: [c] }\n",
  });
  expect(await loadConfig(folder)).toEqual(
    parseConfig(
      "hostRoot: /host\nruntime: docker\napi: { listen: '0.0.0.0:7654' }\ncni: { timeoutSeconds: 10, gc: [c] }\n",
      "all of it",
    ),
  );
});

test("a directory is read as a ConfigMap's volume has it, and other files are left alone", async () => {
  const folder = await directory({ "README.md": "no configuration", "old.yaml.bak": "nor: this" });
  await mkdir(join(folder, "..version"));
  await writeFile(join(folder, "..version/podplug.yaml"), "ifNaming: hash\n");
  await symlink("..version", join(folder, "..data"));
  await symlink("..data/podplug.yaml", join(folder, "podplug.yaml"));
  expect((await loadConfig(folder)).ifNaming).toBe("hash");
});

test("files that are empty count as nothing", async () => {
  const folder = await directory({ "a.yaml": "", "b.yaml": "# nothing yet\n" });
  expect(await loadConfig(folder)).toEqual(parseConfig("", "nothing"));
});

test.each([
  ["isn't a mapping", { "a.yaml": "{}", "b.yaml": "- nodeName: a\n" }, "b.yaml isn't a mapping"],
  ["isn't YAML", { "a.yaml": "{}", "b.yaml": "nodeName: [" }, "b.yaml isn't YAML or JSON"],
  [
    "has unknown keys",
    { "a.yaml": "{}", "b.yaml": "cni: { binDir: /x }" },
    'cni: Unrecognized key: "binDir"',
  ],
])("a directory of which a file %s is refused", async (_what, files, fault) => {
  await expect(loadConfig(await directory(files))).rejects.toThrow(
    expect.objectContaining({ reason: "INVALID_CONFIGURATION", message: expect.stringContaining(fault) }),
  );
});
