import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createFileJournal } from "../../src/attachments/file-journal.ts";
import type { FileSteps } from "../../src/attachments/file-steps.ts";
import { createFileSteps } from "../../src/attachments/file-steps.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { neverAborted } from "../../src/domain/signals.ts";
import { journalContract } from "../contracts/journal.ts";
import { MemoryJournal } from "../fakes/memory-journal.ts";
import { recordOf } from "./records.ts";
import { attachBlue, createWorld } from "./world.ts";

async function stateDirectory(): Promise<string> {
  return await mkdtemp(join(tmpdir(), "podplug-journal-"));
}

function logInto(messages: string[]) {
  return { ...silentLogger, warn: noting(messages), error: noting(messages) };
}

function noting(messages: string[]) {
  return (facts: object, message: string): void => {
    messages.push(`${message} ${JSON.stringify(facts)}`);
  };
}

async function openIn(stateDir: string, messages: string[] = [], steps: FileSteps = createFileSteps()) {
  return await createFileJournal({ stateDir, steps, log: logInto(messages) });
}

async function fileOf(stateDir: string): Promise<string> {
  const [name = ""] = await readdir(join(stateDir, "results"));
  return join(stateDir, "results", name);
}

describe("the file journal", () => {
  journalContract(async () => {
    const stateDir = await stateDirectory();
    return { open: () => openIn(stateDir) };
  });

  test("writes libcni's cache form, with kind cniCacheV1 only once ADD is complete", async () => {
    const stateDir = await stateDirectory();
    const journal = await openIn(stateDir);
    await journal.write(recordOf());
    const complete = JSON.parse(await readFile(await fileOf(stateDir), "utf8")) as Record<string, unknown>;
    expect(complete).toMatchObject({
      kind: "cniCacheV1",
      containerId: "netns-1",
      ifName: "net1",
      networkName: "blue",
      netns: "/run/netns/a",
      config: Buffer.from(recordOf().chain.config).toString("base64"),
      result: recordOf().chain.result,
    });
    await journal.write(recordOf({ state: "attaching", chain: { ...recordOf().chain, result: undefined } }));
    const intent = JSON.parse(await readFile(await fileOf(stateDir), "utf8")) as Record<string, unknown>;
    expect(intent["kind"]).not.toBe("cniCacheV1");
  });

  test.each([
    ["empty", () => ""],
    ["cut off", (text: string) => text.slice(0, text.length / 2)],
    ["no text at all", () => "\u0000\u0001\ufffd"],
    ["without what it needs", (text: string) => text.replace('"state"', '"condition"')],
    [
      "with a result of an unknown version",
      (text: string) => text.replace('"cniVersion":"1.0.0","ips"', '"cniVersion":"9","ips"'),
    ],
  ])("a file that is %s is set aside with its content, and the others stay", async (_what, damage) => {
    const stateDir = await stateDirectory();
    const journal = await openIn(stateDir);
    await journal.write(recordOf());
    const file = await fileOf(stateDir);
    const text = await readFile(file, "utf8");
    await writeFile(file, damage(text));
    await journal.write(recordOf({ id: "a-2", ifName: "net2" }));
    const messages: string[] = [];
    const records = await (await openIn(stateDir, messages)).load();
    expect(records.map((record) => record.id)).toEqual(["a-2"]);
    expect(messages).toEqual([expect.stringContaining("is damaged; it is set aside")]);
    const [kept = ""] = await readdir(join(stateDir, "damaged"));
    expect(await readFile(join(stateDir, "damaged", kept), "utf8")).toBe(damage(text));
    const later = await openIn(stateDir);
    await later.load();
    expect(await later.missing()).toBe(1);
  });

  test("a file of a future version is neither read nor overwritten", async () => {
    const stateDir = await stateDirectory();
    await (await openIn(stateDir)).write(recordOf());
    const file = await fileOf(stateDir);
    const future = (await readFile(file, "utf8")).replace('"version":1', '"version":2');
    await writeFile(file, future);
    const messages: string[] = [];
    const journal = await openIn(stateDir, messages);
    expect(await journal.load()).toEqual([]);
    expect(messages).toEqual([expect.stringContaining("written by a newer podplug")]);
    await expect(journal.write(recordOf())).rejects.toMatchObject({
      reason: "JOURNAL_FAILED",
      message: expect.stringContaining("was written by a newer podplug"),
    });
    await expect(journal.remove(recordOf())).rejects.toMatchObject({ reason: "JOURNAL_FAILED" });
    expect(await readFile(file, "utf8")).toBe(future);
    expect(await journal.missing()).toBe(1);
  });

  test("what can't be read is left where it is, and the others are loaded", async () => {
    const stateDir = await stateDirectory();
    const journal = await openIn(stateDir);
    await journal.write(recordOf());
    const file = await fileOf(stateDir);
    await journal.write(recordOf({ id: "a-2", ifName: "net2" }));
    await rm(file);
    await mkdir(file);
    await mkdir(`${file}.1-1.tmp`);
    const messages: string[] = [];
    const again = await openIn(stateDir, messages);
    expect((await again.load()).map((record) => record.id)).toEqual(["a-2"]);
    expect(messages).toEqual([
      expect.stringContaining("can't be read; it is left alone"),
      expect.stringContaining("can't be read; it is left alone"),
    ]);
    await expect(again.write(recordOf())).rejects.toMatchObject({
      reason: "JOURNAL_FAILED",
      message: expect.stringContaining("couldn't be read"),
    });
  });

  test("an agent without descriptors doesn't take its journal for an empty one", async () => {
    const stateDir = await stateDirectory();
    await (await openIn(stateDir)).write(recordOf());
    const read = async (): Promise<never> => {
      throw Object.assign(new Error("EMFILE: injected"), { code: "EMFILE" });
    };
    const journal = await openIn(stateDir, [], { ...createFileSteps(), read });
    await expect(journal.load()).rejects.toMatchObject({ reason: "JOURNAL_FAILED" });
  });

  test("why a write failed is told, whatever becomes of its temporary file", async () => {
    const stateDir = await stateDirectory();
    const failing = (code: string) => async (): Promise<never> => {
      throw Object.assign(new Error(`${code}: injected`), { code });
    };
    const steps = { ...createFileSteps(), rename: failing("ENOSPC"), unlink: failing("EIO") };
    const journal = await openIn(stateDir, [], steps);
    await expect(journal.write(recordOf())).rejects.toMatchObject({
      message: expect.stringContaining("no space left"),
    });
  });

  test("a change refused because its directory couldn't be synced isn't carried out by a restart", async () => {
    const steps = createFileSteps();
    let full = false;
    const journal = await openIn(await stateDirectory(), [], {
      ...steps,
      syncDirectory: async (path) => {
        if (full) throw Object.assign(new Error("EMFILE: injected"), { code: "EMFILE" });
        await steps.syncDirectory(path);
      },
    });
    const world = await createWorld({ journal });
    const { target, answer } = await attachBlue(world);
    const api = world.as("tester");
    const which = { by: "interface", interface: "net1" } as const;
    full = true;
    const refused = { reason: "JOURNAL_FAILED", message: expect.stringContaining("too many open files") };
    const replacing = { target, network: { name: "green", interface: "net1" }, replace: true };
    await expect(api.attach(replacing, neverAborted)).rejects.toMatchObject(refused);
    await expect(api.detach({ target, which }, neverAborted)).rejects.toMatchObject(refused);
    const another = { target, network: { name: "blue", interface: "net2" } };
    await expect(api.attach(another, neverAborted)).rejects.toMatchObject(refused);
    full = false;
    await world.restart();
    expect(await world.as("tester").list({ target }, neverAborted)).toEqual([answer.interface]);
    expect(await world.states()).toEqual(["net1 attached"]);
  });

  test("somebody else's file is left alone", async () => {
    const stateDir = await stateDirectory();
    const journal = await openIn(stateDir);
    const foreign = join(stateDir, "results", "blue-abc-eth0");
    await writeFile(foreign, '{"kind":"cniCacheV1","containerId":"abc"}');
    expect(await journal.load()).toEqual([]);
    expect(await readFile(foreign, "utf8")).toContain("abc");
  });

  test("a write that was cut off leaves the old record and no temporary file", async () => {
    const stateDir = await stateDirectory();
    await (await openIn(stateDir)).write(recordOf());
    const file = await fileOf(stateDir);
    await writeFile(`${file}.1-1.tmp`, "{");
    expect(await (await openIn(stateDir)).load()).toHaveLength(1);
    expect(await readdir(join(stateDir, "results"))).toHaveLength(1);
  });

  test.each(["ENOSPC", "EROFS", "EIO"])(
    "a write that fails with %s says so, and the old record stays",
    async (code) => {
      const stateDir = await stateDirectory();
      await (await openIn(stateDir)).write(recordOf());
      const failing = async (): Promise<never> => {
        throw Object.assign(new Error(`${code}: injected`), { code });
      };
      for (const step of ["writeSynced", "rename"] as const) {
        const journal = await openIn(stateDir, [], { ...createFileSteps(), [step]: failing });
        await expect(journal.write(recordOf({ id: "a-2" }))).rejects.toMatchObject({
          reason: "JOURNAL_FAILED",
          message: expect.stringContaining("writing the record of net1 failed"),
        });
        expect((await (await openIn(stateDir)).load()).map((record) => record.id)).toEqual(["a-1"]);
      }
    },
  );

  test("the record's content and then its name are synced before the write resolves", async () => {
    const stateDir = await stateDirectory();
    const steps = createFileSteps();
    const trace: string[] = [];
    const traced: FileSteps = {
      ...steps,
      writeSynced: async (path, content) => {
        await steps.writeSynced(path, content);
        trace.push("content");
      },
      rename: async (from, to) => {
        await steps.rename(from, to);
        trace.push("rename");
      },
      syncDirectory: async (path) => {
        await steps.syncDirectory(path);
        trace.push("directory");
      },
    };
    const journal = await openIn(stateDir, [], traced);
    trace.length = 0;
    await journal.write(recordOf());
    expect(trace).toEqual(["content", "rename", "directory"]);
  });

  test("a directory synced for many writers at once is synced after each one's rename", async () => {
    const stateDir = await stateDirectory();
    const journal = await openIn(stateDir);
    await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        journal.write(recordOf({ id: `a-${index}`, ifName: `n${index}` })),
      ),
    );
    expect(await (await openIn(stateDir)).load()).toHaveLength(20);
  });
});

describe("the memory journal of other tests", () => {
  journalContract(async () => {
    const journal = new MemoryJournal();
    return { open: async () => journal };
  });
});
