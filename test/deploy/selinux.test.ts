import { execFile } from "node:child_process";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const execute = promisify(execFile);
const policy = join(import.meta.dirname, "../../deploy/selinux");

test("the SELinux module compiles, and is packed with the contexts of its files", async () => {
  const folder = await mkdtemp(join(tmpdir(), "podplug-selinux-"));
  const [module, packed] = [join(folder, "podplug.mod"), join(folder, "podplug.pp")];
  await execute("checkmodule", ["-M", "-m", "-o", module, join(policy, "podplug.te")]);
  await execute("semodule_package", ["-o", packed, "-m", module, "-f", join(policy, "podplug.fc")]);
  expect((await stat(packed)).size).toBeGreaterThan((await stat(module)).size);
  await rm(folder, { recursive: true });
});
