import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Clock, systemClock } from "../../src/domain/clock.ts";
import type { Logger } from "../../src/domain/log.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { createDirectoryCatalog } from "../../src/networks/directory.ts";
import { networkCatalogContract } from "../contracts/network-catalog.ts";
import { failure } from "../support/failure.ts";

const execute = promisify(execFile);
const { signal } = new AbortController();

/** By which every file was left alone long enough for what is known of it to be kept. */
const clock: Clock = { ...systemClock, now: () => new Date(Date.now() + 3_600_000) };

let directory: string;
let warnings: { readonly facts: object; readonly message: string }[];
let log: Logger;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "podplug-networks-"));
  warnings = [];
  log = { ...silentLogger, warn: (facts, message) => warnings.push({ facts, message }) };
});

afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

function listOf(name: string, type = "bridge"): string {
  return JSON.stringify({ cniVersion: "1.0.0", name, plugins: [{ type }] });
}

async function write(name: string, text: string): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  return path;
}

async function typesOf(name: string): Promise<readonly string[]> {
  const { config } = await createDirectoryCatalog({ directory, clock, log }).find(
    { name },
    undefined,
    signal,
  );
  return (JSON.parse(config) as { plugins: { type: string }[] }).plugins.map(({ type }) => type);
}

describe("a directory of files", () => {
  networkCatalogContract(async () => ({
    catalog: createDirectoryCatalog({ directory, clock, log }),
    source: "directory",
    define: async (name, config) => void (await write(`${name}.conflist`, JSON.stringify(config))),
    breakDefinition: async (name) => void (await write(`${name}.conflist`, "{")),
    remove: (name) => rm(join(directory, `${name}.conflist`)),
    async [Symbol.asyncDispose]() {},
  }));
});

test("lists and single plugins' files are found by the name inside, whatever the file is called", async () => {
  await write("10-list.conflist", listOf("list", "bridge"));
  await write("20-single.conf", JSON.stringify({ cniVersion: "0.4.0", name: "single", type: "macvlan" }));
  await write("30-json.json", JSON.stringify({ name: "json", type: "ptp" }));
  expect(await typesOf("list")).toEqual(["bridge"]);
  expect(await typesOf("single")).toEqual(["macvlan"]);
  expect(await typesOf("json")).toEqual(["ptp"]);
});

test("a list takes its sibling files' plugins, also when they change and it doesn't", async () => {
  await write("list.conflist", listOf("blue", "bridge"));
  const catalog = createDirectoryCatalog({ directory, clock, log });
  const types = async (): Promise<readonly string[]> => {
    const { config } = await catalog.find({ name: "blue" }, undefined, signal);
    return (JSON.parse(config) as { plugins: { type: string }[] }).plugins.map(({ type }) => type);
  };
  expect(await types()).toEqual(["bridge"]);
  await mkdir(join(directory, "blue"));
  await write("blue/10-tuning.conf", JSON.stringify({ type: "tuning" }));
  expect(await types()).toEqual(["bridge", "tuning"]);
  await write("blue/10-tuning.conf", "{");
  await expect(types()).rejects.toEqual(failure("INVALID_NETWORK", "10-tuning.conf"));
  await rm(join(directory, "blue"), { recursive: true });
  expect(await types()).toEqual(["bridge"]);
});

test("a file is read again while it was changed too lately for its time to tell", async () => {
  const catalog = createDirectoryCatalog({ directory, clock: systemClock, log });
  for (let round = 0; round < 50; round += 1) {
    await write("list.conflist", listOf("blue", round % 2 ? "macvlan" : "ipvlan0"));
    const { config } = await catalog.find({ name: "blue" }, undefined, signal);
    expect(config).toContain(round % 2 ? "macvlan" : "ipvlan0");
  }
});

test("of two files with one name the first wins, with one warning until that changes", async () => {
  const first = await write("10-a.conflist", listOf("blue", "bridge"));
  const second = await write("20-b.conflist", listOf("blue", "macvlan"));
  const catalog = createDirectoryCatalog({ directory, clock, log });
  for (let look = 0; look < 3; look += 1) {
    expect((await catalog.find({ name: "blue" }, undefined, signal)).config).toContain("bridge");
  }
  expect(warnings).toEqual([
    {
      facts: { file: second, network: "blue", usedFile: first },
      message: "network file is shadowed by another one",
    },
  ]);
  await rm(first);
  expect((await catalog.find({ name: "blue" }, undefined, signal)).config).toContain("macvlan");
  await write("10-a.conflist", listOf("blue", "bridge"));
  await catalog.find({ name: "blue" }, undefined, signal);
  expect(warnings).toHaveLength(2);
});

test("a good file serves a name that a broken one has too", async () => {
  await write("10-broken.conflist", JSON.stringify({ name: "blue", plugins: [] }));
  await write("20-good.conflist", listOf("blue"));
  expect(await typesOf("blue")).toEqual(["bridge"]);
});

test("a broken file is told once per change, with its path and fault, also by looks side by side", async () => {
  await write("good.conflist", listOf("good"));
  const path = await write("broken.conflist", "{");
  const catalog = createDirectoryCatalog({ directory, clock, log });
  const look = (): Promise<unknown> => catalog.find({ name: "good" }, undefined, signal);
  await Promise.all([look(), look(), look()]);
  await look();
  expect(warnings).toMatchObject([
    { facts: { file: path, reason: "INVALID_NETWORK" }, message: "network file can't be used" },
  ]);
  expect(JSON.stringify(warnings)).toContain("isn't JSON");
  await write("broken.conflist", "{ still");
  await look();
  expect(warnings).toHaveLength(2);
});

test("a broken file's network goes by the name inside when there is one, else by the file's", async () => {
  const named = await write("10-x.conflist", JSON.stringify({ name: "blue", plugins: "none" }));
  const nameless = await write("green.conflist", "not JSON");
  const catalog = createDirectoryCatalog({ directory, clock, log });
  await expect(catalog.find({ name: "blue" }, undefined, signal)).rejects.toEqual(
    failure("INVALID_NETWORK", named),
  );
  await expect(catalog.find({ name: "green" }, undefined, signal)).rejects.toEqual(
    failure("INVALID_NETWORK", nameless),
  );
  await expect(catalog.find({ name: "10-x" }, undefined, signal)).rejects.toEqual(
    failure("NETWORK_NOT_FOUND"),
  );
});

test("a file replaced by one of the same size and time is read again", async () => {
  const then = new Date("2024-01-01T00:00:00Z");
  const path = await write("blue.conflist", listOf("blue", "aaaa"));
  await utimes(path, then, then);
  const catalog = createDirectoryCatalog({ directory, clock, log });
  await catalog.find({ name: "blue" }, undefined, signal);
  const next = await write("next", listOf("pink", "bbbb"));
  await utimes(next, then, then);
  await rename(next, path);
  expect(await catalog.find({ name: "pink" }, undefined, signal)).toMatchObject({ displayName: "pink" });
});

test("symbolic links are followed, as a mounted ConfigMap's files are; dangling ones are passed over", async () => {
  await mkdir(join(directory, "..2024"));
  await write("..2024/blue.conflist", listOf("blue"));
  await symlink("..2024", join(directory, "..data"));
  await symlink("..data/blue.conflist", join(directory, "blue.conflist"));
  await symlink("nowhere", join(directory, "red.conflist"));
  expect(await typesOf("blue")).toEqual(["bridge"]);
  expect(warnings).toEqual([]);
});

test("hidden files, backups, directories and other files are passed over", async () => {
  for (const name of [
    ".blue.conflist",
    "blue.conflist~",
    "blue.conflist.bak",
    "#blue.conflist#",
    "blue.txt",
  ]) {
    await write(name, listOf("blue"));
  }
  await mkdir(join(directory, "blue.conf"));
  await expect(typesOf("blue")).rejects.toEqual(failure("NETWORK_NOT_FOUND"));
  expect(warnings).toEqual([]);
});

test("a file that is too large, or no file at all, is broken and isn't opened", async () => {
  await write("large.conflist", `${" ".repeat(1024 * 1024)}${listOf("large")}`);
  await execute("mkfifo", [join(directory, "pipe.conflist")]);
  await write("good.conflist", listOf("good"));
  expect(await typesOf("good")).toEqual(["bridge"]);
  await expect(typesOf("large")).rejects.toEqual(failure("INVALID_NETWORK", "is larger than 1048576 bytes"));
  await expect(typesOf("pipe")).rejects.toEqual(failure("INVALID_NETWORK", "isn't a regular file"));
});

test("a directory that isn't there yet has no networks, and then it has", async () => {
  await rm(directory, { recursive: true });
  const catalog = createDirectoryCatalog({ directory, clock, log });
  await expect(catalog.find({ name: "blue" }, undefined, signal)).rejects.toEqual(
    failure("NETWORK_NOT_FOUND", directory),
  );
  await mkdir(directory);
  await write("blue.conflist", listOf("blue"));
  expect(await catalog.find({ name: "blue" }, undefined, signal)).toMatchObject({ displayName: "blue" });
});

test("a directory that can't be listed is UNREACHABLE, not empty", async () => {
  const path = await write("file", "");
  const catalog = createDirectoryCatalog({ directory: path, clock, log });
  await expect(catalog.find({ name: "blue" }, undefined, signal)).rejects.toEqual(failure("UNREACHABLE"));
});

test("an inline configuration isn't looked up", async () => {
  const catalog = createDirectoryCatalog({ directory, clock, log });
  await expect(catalog.find({ config: listOf("blue") }, undefined, signal)).rejects.toEqual(
    failure("NETWORK_NOT_FOUND"),
  );
});
