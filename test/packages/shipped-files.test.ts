import { expect, test } from "vitest";
import { layOutLater, run } from "./machine.ts";

const { tree } = await layOutLater("1.0");
const units = `${tree}/usr/lib/systemd/system`;

test.each([
  ["podplug.service", 57],
  ["podplug-token.service", 20],
])("%s is exposed by systemd's measure no more than %d tenths of ten", async (name, most) => {
  const said = await run(
    "systemd-analyze",
    "security",
    "--offline=true",
    `--threshold=${most}`,
    "--no-pager",
    `${units}/${name}`,
  );
  expect(said).toContain("Overall exposure level");
});

test.each(["man1/podplug.1", "man5/podplug-config.5", "man8/podplug-kubeconfig.8"])(
  "the manual page %s is well formed",
  async (page) => {
    const file = `${tree}/usr/share/man/${page}`;
    await run("gunzip", "--keep", `${file}.gz`);
    expect(await run("mandoc", "-T", "lint", "-W", "warning", file)).toBe("");
    expect(await run("man", "--warnings", "--encoding=UTF-8", "--local-file", file)).toMatch(
      /^PODPLUG[\s\S]*SEE ALSO/,
    );
  },
);

test("all may read what is laid out, whatever the builder's own files are like", async () => {
  process.umask(0o077);
  const { tree: closed } = await layOutLater("1.1");
  const folders = ["-type", "d", "-not", "-perm", "755"];
  const files = ["-type", "f", "-not", "-perm", "644", "-not", "-perm", "755"];
  expect(await run("find", closed, "(", ...folders, ")", "-o", "(", ...files, ")")).toBe("");
});

test("bash takes the completion", async () => {
  await run("bash", "-n", `${tree}/usr/share/bash-completion/completions/podplug`);
});
