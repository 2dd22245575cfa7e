import { chmodSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { parse } from "yaml";
import { buildKrew } from "../../scripts/packages/krew.ts";
import { run } from "../cluster/support/cluster.ts";

interface KrewPlugin {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly version: string;
    readonly shortDescription: string;
    readonly platforms: readonly {
      readonly selector: { readonly matchLabels: Readonly<Record<string, string>> };
      readonly uri: string;
      readonly sha256: string;
      readonly bin: string;
      readonly files: readonly { readonly from: string; readonly to: string }[];
    }[];
  };
}

async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "podplug-krew-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** In the place of the executable, which takes a minute to build. */
function programIn(folder: string): string {
  const program = join(folder, "podplug");
  writeFileSync(program, '#!/bin/sh\necho "$(basename "$0")" "$@"\n');
  chmodSync(program, 0o700);
  return program;
}

test("krew's manifest names each archive by what is in it, and krew can install from that", async () => {
  const folder = await makeFolder();
  const out = join(folder, "krew");
  const program = programIn(folder);
  const programs = [
    { platform: "amd64", program },
    { platform: "arm64", program },
  ] as const;
  const url = "https://downloads.example.com/v1.2.3";
  const path = buildKrew({ programs, version: "1.2.3", url, out });
  const plugin = parse(await readFile(path, "utf8")) as KrewPlugin;
  expect(plugin).toMatchObject({
    apiVersion: "krew.googlecontainertools.github.com/v1alpha2",
    kind: "Plugin",
    metadata: { name: "podplug" },
    spec: { version: "v1.2.3" },
  });
  expect(plugin.spec.shortDescription.length).toBeLessThan(50);
  expect(plugin.spec.platforms.map(({ selector }) => selector.matchLabels)).toEqual([
    { os: "linux", arch: "amd64" },
    { os: "linux", arch: "arm64" },
  ]);
  for (const { uri, sha256, bin, files } of plugin.spec.platforms) {
    expect(uri.startsWith(`${url}/`)).toBe(true);
    const archive = join(out, uri.slice(url.length + 1));
    expect(await run("sha256sum", [archive])).toBe(`${sha256}  ${archive}\n`);
    expect((await run("tar", ["-tzf", archive])).trim().split("\n").sort()).toEqual(
      files.map(({ from }) => from).sort(),
    );
    const installed = await makeFolder();
    await run("tar", ["-xzf", archive, "-C", installed]);
    expect(await run(join(installed, bin), ["list"])).toBe("kubectl-podplug list\n");
  }
});

test("the same program makes the same archive, so that its checksum can be checked by others", async () => {
  const folder = await makeFolder();
  const programs = [{ platform: "amd64", program: programIn(folder) }] as const;
  const [one, other] = await Promise.all(
    ["a", "b"].map((name) =>
      readFile(
        buildKrew({
          programs,
          version: "1.0.0",
          url: "https://downloads.example.com/",
          out: join(folder, name),
        }),
        "utf8",
      ),
    ),
  );
  expect(one).toBe(other);
});

test.each([
  [[], "https://downloads.example.com", "no program"],
  [[{ platform: "amd64", program: "p" }], "http://downloads.example.com", "https"],
] as const)("what can't be installed isn't written", async (programs, url, words) => {
  const out = await makeFolder();
  expect(() => buildKrew({ programs, version: "1.0.0", url, out })).toThrow(words);
});
