import { randomUUID } from "node:crypto";
import { link, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { messageOf, PodplugError, systemCodeOf } from "../domain/errors.ts";
import type { CertificateStore } from "./contract.ts";

/**
 * Files in one directory: `ca.crt` and `ca.key`, and `NAME.crt` and `NAME.key`
 * for each certificate. A key comes before its certificate, so that whatever
 * ends a run, the next one finds what it can go on from.
 */
export function createDirectoryStore(directory: string): CertificateStore {
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

  /** `place` puts the whole file under its name. */
  async function write(
    file: string,
    text: string,
    mode: number,
    place: (from: string, to: string) => Promise<void> = rename,
  ): Promise<void> {
    const part = pathOf(`.${file}.${randomUUID()}`);
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await using handle = await open(part, "wx", mode);
      await handle.writeFile(text);
      await handle.sync();
      await place(part, pathOf(file));
    } catch (error) {
      throw failed("write", file, error);
    } finally {
      await rm(part, { force: true });
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
    if (systemCodeOf(cause) === "EEXIST") return overtaken(file);
    const denied = ["EACCES", "EPERM"].includes(systemCodeOf(cause) ?? "");
    const message = `can't ${what} ${pathOf(file)}: ${messageOf(cause)}`;
    return new PodplugError(denied ? "PRIVILEGE_MISSING" : "INVALID_CONFIGURATION", message, { cause });
  }

  function overtaken(file: string): PodplugError {
    return new PodplugError("UNREACHABLE", `${pathOf(file)} was written by another run meanwhile`);
  }

  return {
    placeOf: (name = "ca") => pathOf(`${name}.crt`),
    authority: async () => ({ certificate: await read("ca.crt"), key: await read("ca.key", true) }),
    async keepAuthority({ certificate, key }) {
      const known = await read("ca.key");
      if (known === undefined) {
        // Fails where another run made one meanwhile.
        await write("ca.key", key, 0o600, link);
      } else if (known !== key) {
        throw overtaken("ca.key");
      }
      await write("ca.crt", certificate, 0o644);
    },
    // It is in the directory.
    publishAuthority: () => Promise.resolve(),
    certificate: async (name) => ({
      certificate: await read(`${name}.crt`),
      key: await read(`${name}.key`, true),
      authority: await read("ca.crt"),
    }),
    async keepCertificate(name, { certificate, key }) {
      await write(`${name}.key`, key, 0o600);
      await write(`${name}.crt`, certificate, 0o644);
    },
  };
}
