import { chmod, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createDirectoryStore } from "../../src/certificates/directory-store.ts";
import { neverAborted as signal } from "../../src/domain/signals.ts";
import { lockFile } from "../../src/state-lock.ts";
import { certificateStoreContract } from "../contracts/certificate-store.ts";
import { failure } from "../support/failure.ts";

async function makePlace() {
  const folder = await mkdtemp(join(tmpdir(), "podplug-certificates-"));
  const directory = join(folder, "pki");
  return {
    directory,
    open: () => createDirectoryStore({ directory, lock: lockFile }),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

describe("a store in a directory", () => {
  certificateStoreContract(makePlace);

  test("keeps keys for their owner alone, and nothing of its own beside", async () => {
    await using place = await makePlace();
    const store = place.open();
    await store.keepAuthority({ certificate: "authority", key: "key" }, signal);
    await store.keepCertificate("tls", { certificate: "tls", key: "key", authority: "authority" }, signal);
    const modeOf = async (file: string) =>
      ((await stat(join(place.directory, file))).mode & 0o777).toString(8);
    expect(await readdir(place.directory)).toEqual(["ca.crt", "ca.key", "tls.crt", "tls.key"]);
    expect(await Promise.all([".", "ca.key", "tls.key", "ca.crt"].map(modeOf))).toEqual([
      "700",
      "600",
      "600",
      "644",
    ]);
  });

  test("is one run's at a time, until it is let go", async () => {
    await using place = await makePlace();
    {
      await using _ = await place.open().hold(signal);
      await expect(place.open().hold(signal)).rejects.toEqual(
        failure("UNREACHABLE", `another run is at work in ${place.directory}: try again`),
      );
    }
    await using _ = await place.open().hold(signal);
  });

  test("refuses a key that others can read", async () => {
    await using place = await makePlace();
    await place.open().keepAuthority({ certificate: "authority", key: "key" }, signal);
    await chmod(join(place.directory, "ca.key"), 0o640);
    await expect(place.open().authority(signal)).rejects.toEqual(
      failure("INVALID_CONFIGURATION", "ca.key can be read by others than its owner"),
    );
  });

  test("says what it can't write, and why", async () => {
    await using place = await makePlace();
    await writeFile(place.directory, "a file in the directory's place");
    await expect(place.open().authority(signal)).rejects.toEqual(
      failure("INVALID_CONFIGURATION", "pki/ca.crt: ENOTDIR"),
    );
    await expect(place.open().hold(signal)).rejects.toEqual(failure("INVALID_CONFIGURATION", "pki: EEXIST"));
  });
});
