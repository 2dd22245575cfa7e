import { mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { ReadIntent } from "../../src/contiv/intent.ts";
import { openIntentFile } from "../../src/contiv/intent-file.ts";
import { systemClock } from "../../src/domain/clock.ts";
import { createManualClock } from "../support/manual-clock.ts";
import { createRecordingLog } from "../support/recording-log.ts";
import { example } from "./example.ts";

let directory: string;
let path: string;
const text = JSON.stringify(example);

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "podplug-intent-"));
  path = join(directory, "intent.json");
});
afterEach(() => rm(directory, { recursive: true }));

function open() {
  const log = createRecordingLog();
  return { log, file: openIntentFile({ path, clock: systemClock, log }) };
}

const kindOf = ({ kind }: ReadIntent): string => kind;

test("an intent is the same object for as long as its file says the same", async () => {
  await writeFile(path, text);
  const { file } = open();
  const first = file.current();
  expect(kindOf(first)).toBe("valid");
  await writeFile(path, text);
  expect(file.current()).toBe(first);
});

test("an edit of the same size at the same instant is seen", async () => {
  const now = new Date();
  await writeFile(path, text);
  await utimes(path, now, now);
  const { file } = open();
  expect(file.current()).toMatchObject({ intent: { networks: [{ name: "orange" }, {}] } });
  await writeFile(path, text.replace("orange", "yellow"));
  await utimes(path, now, now);
  expect(file.current()).toMatchObject({ intent: { networks: [{ name: "yellow" }, {}] } });
});

test("a link that leads elsewhere is seen, as a mounted ConfigMap is changed", async () => {
  await mkdir(join(directory, "v1"));
  await mkdir(join(directory, "v2"));
  await writeFile(join(directory, "v1/intent.json"), text);
  await writeFile(join(directory, "v2/intent.json"), text.replace("orange", "yellow"));
  await symlink("v1", join(directory, "data"));
  await symlink("data/intent.json", path);
  const { file } = open();
  expect(file.current()).toMatchObject({ intent: { networks: [{ name: "orange" }, {}] } });
  await symlink("v2", join(directory, "data.new"));
  await rename(join(directory, "data.new"), join(directory, "data"));
  expect(file.current()).toMatchObject({ intent: { networks: [{ name: "yellow" }, {}] } });
});

test("a file that is missing, broken or no file is invalid, and said once with every fault", async () => {
  const { file, log } = open();
  expect(file.current()).toMatchObject({ kind: "invalid", faults: [expect.stringContaining("ENOENT")] });
  file.current();
  await writeFile(path, JSON.stringify({ Hosts: [{}, { Name: "a" }, { Name: "a" }] }));
  file.current();
  file.current();
  await rm(path);
  await mkdir(path);
  expect(file.current()).toMatchObject({
    kind: "invalid",
    faults: ["it can't be read: it isn't a regular file"],
  });
  expect(log.lines.map(({ level, facts }) => `${level} ${String(facts["faults"])}`)).toEqual([
    expect.stringContaining("warn it can't be read: ENOENT"),
    "warn Hosts[0].Name: it is missing,Hosts[2].Name: there is another host a",
    "warn it can't be read: it isn't a regular file",
  ]);
});

test("changes tells of each change, and ends with its signal", async () => {
  await writeFile(path, text);
  const clock = createManualClock(new Date());
  const file = openIntentFile({ path, clock, log: createRecordingLog() });
  const stopping = new AbortController();
  const told: string[] = [];
  const following = (async () => {
    for await (const each of file.changes(stopping.signal)) told.push(each.kind);
  })();
  const pass = async (): Promise<void> => {
    clock.advance(2_000);
    await new Promise(setImmediate);
  };
  await pass();
  expect(told).toEqual([]);
  await writeFile(path, "{");
  await pass();
  await pass();
  await writeFile(path, text);
  await pass();
  expect(told).toEqual(["invalid", "valid"]);
  stopping.abort();
  await following;
});
