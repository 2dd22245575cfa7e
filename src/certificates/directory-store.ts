import { randomUUID } from "node:crypto";
import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { Reason } from "../domain/reasons.ts";
import type { CertificateStore } from "./contract.ts";

interface NewFile {
  readonly file: string;
  readonly text: string;
  readonly mode: number;
}

/**
 * Files in one directory: `ca.crt` and `ca.key`, and `NAME.crt` and `NAME.key`
 * for each certificate. A key comes before its certificate, so that whatever
 * ends a run, the next one finds what it can go on from.
 */
export function createDirectoryStore({
  directory,
  lock,
}: {
  readonly directory: string;
  /** Holds a file, made when missing, for this process alone; `reason` when another one has it. */
  readonly lock: (file: string, refused: string, reason: Reason) => Promise<AsyncDisposable>;
}): CertificateStore {
  const pathOf = (file: string): string => join(directory, file);

  async function read(file: string, isSecret = false): Promise<string | undefined> {
    try {
      await using handle = await open(pathOf(file));
      if (isSecret && ((await handle.stat()).mode & 0o077) !== 0) throw openToOthers(file);
      return await handle.readFile("utf8");
    } catch (error) {
      if (systemCodeOf(error) === "ENOENT") return undefined;
      throw failed("read", file, error);
    }
  }

  /** All are on the disk before `place` puts the first under its name. */
  async function write(
    files: readonly NewFile[],
    place: (from: string, to: string) => Promise<void> = rename,
  ): Promise<void> {
    const run = randomUUID();
    const partOf = (file: string): string => pathOf(`.${file}.${run}`);
    try {
      await makeDirectory();
      for (const each of files) await writing(each.file, () => writeNew(partOf(each.file), each));
      for (const { file } of files) await writing(file, () => place(partOf(file), pathOf(file)));
      await writing("", () => syncDirectory());
    } finally {
      for (const { file } of files) await rm(partOf(file), { force: true });
    }
  }

  const makeDirectory = () => writing("", () => mkdir(directory, { recursive: true, mode: 0o700 }));

  async function writeNew(path: string, { text, mode }: NewFile): Promise<void> {
    await using handle = await open(path, "wx", mode);
    await handle.writeFile(text);
    await handle.sync();
  }

  /** Fails where another run made one meanwhile. */
  async function linkUnlessThere(from: string, to: string): Promise<void> {
    try {
      await link(from, to);
    } catch (error) {
      throw systemCodeOf(error) === "EEXIST" ? overtaken(to) : error;
    }
  }

  async function syncDirectory(): Promise<void> {
    await using handle = await open(directory);
    await handle.sync();
  }

  async function writing<Result>(file: string, step: () => Promise<Result>): Promise<Result> {
    try {
      return await step();
    } catch (error) {
      throw failed("write", file, error);
    }
  }

  function openToOthers(file: string): PodplugError {
    return new PodplugError(
      "INVALID_CONFIGURATION",
      `${pathOf(file)} can be read by others than its owner: make another one, or chmod 600 it`,
    );
  }

  function failed(what: string, file: string, cause: unknown): PodplugError {
    if (cause instanceof PodplugError) return cause;
    const denied = ["EACCES", "EPERM"].includes(systemCodeOf(cause) ?? "");
    const message = `can't ${what} ${pathOf(file)}: ${messageOf(cause)}`;
    return new PodplugError(denied ? "PRIVILEGE_MISSING" : "INVALID_CONFIGURATION", message, { cause });
  }

  function overtaken(path: string): PodplugError {
    return new PodplugError("UNREACHABLE", `${path} was written by another run meanwhile`);
  }

  return {
    async hold() {
      const refused = `another run is at work in ${directory}: try again`;
      await makeDirectory();
      return await writing(".lock", () => lock(pathOf(".lock"), refused, "UNREACHABLE"));
    },
    placeOf: (name = "ca") => pathOf(`${name}.crt`),
    authority: async () => ({ certificate: await read("ca.crt"), key: await read("ca.key", true) }),
    async keepAuthority({ certificate, key }) {
      const known = await read("ca.key");
      if (known === undefined) {
        await write([{ file: "ca.key", text: key, mode: 0o600 }], linkUnlessThere);
      } else if (known !== key) {
        throw overtaken(pathOf("ca.key"));
      }
      await write([{ file: "ca.crt", text: certificate, mode: 0o644 }]);
    },
    // It is in the directory.
    publishAuthority: () => Promise.resolve(),
    certificate: async (name) => ({
      certificate: await read(`${name}.crt`),
      key: await read(`${name}.key`, true),
      authority: await read("ca.crt"),
    }),
    async keepCertificate(name, { certificate, key }) {
      await write([
        { file: `${name}.key`, text: key, mode: 0o600 },
        { file: `${name}.crt`, text: certificate, mode: 0o644 },
      ]);
    },
  };
}
