import { copyFileSync, mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { eventually } from "../server/eventually.ts";
import { makeDirectory, run, startTestServer } from "../server/started-server.ts";
import { root } from "./cli-process.ts";

/** A tree whose bundle and sources only say which of them was started, and the real bin/podplug. */
async function makeTree() {
  const directory = await makeDirectory();
  const tree = join(directory, "tree");
  for (const folder of [
    "bin",
    "src/client",
    "gen",
    "dist",
    "node_modules/commander",
    "toolchain/node_modules/.bin",
  ]) {
    mkdirSync(join(tree, folder), { recursive: true });
  }
  copyFileSync(join(root, "bin/podplug"), join(tree, "bin/podplug"));
  const file = (path: string, text: string, mode = 0o644): string => {
    writeFileSync(join(tree, path), text, { mode });
    return join(tree, path);
  };
  file("package.json", "{}");
  file("package-lock.json", "{}");
  file("src/main.ts", 'console.log("sources", ...(process.argv.slice(2) as string[]));');
  file("src/client/a.ts", "");
  file("dist/podplug.cjs", 'console.log("bundle", ...process.argv.slice(2));');
  file("dist/main.cjs", "");
  symlinkSync(process.execPath, join(tree, "toolchain/node_modules/.bin/node"));
  const setAge = (path: string, seconds: number): void => {
    const when = new Date(Date.now() - seconds * 1000);
    utimesSync(join(tree, path), when, when);
  };
  for (const path of [
    "src",
    "src/client",
    "src/client/a.ts",
    "src/main.ts",
    "gen",
    "package.json",
    "package-lock.json",
  ]) {
    setAge(path, 100);
  }
  return {
    directory,
    tree,
    file,
    setAge,
    start: (path = join(tree, "bin/podplug"), ...args: string[]) => run(path, args, directory),
  };
}

describe("bin/podplug", () => {
  test("takes the bundle while it is newer than every source", async () => {
    const { start, setAge, tree } = await makeTree();
    expect(await start(undefined, "a b", "--c")).toEqual({ code: 0, stdout: "bundle a b --c\n", stderr: "" });
    setAge("src/client/a.ts", -100);
    expect(await start(undefined, "a b")).toEqual({ code: 0, stdout: "sources a b\n", stderr: "" });
    setAge("src/client/a.ts", 100);
    rmSync(join(tree, "src/client/a.ts"));
    setAge("src/client", -100);
    expect((await start()).stdout).toBe("sources\n");
  });

  test("takes the sources when nothing was built, and the bundle when there are no sources", async () => {
    const { start, tree } = await makeTree();
    rmSync(join(tree, "dist"), { recursive: true });
    expect((await start()).stdout).toBe("sources\n");
    const release = await makeTree();
    for (const path of ["src", "gen", "node_modules", "package-lock.json"])
      rmSync(join(release.tree, path), { recursive: true });
    expect((await release.start()).stdout).toBe("bundle\n");
  });

  test("finds its tree through links, from anywhere", async () => {
    const { start, tree, directory } = await makeTree();
    symlinkSync("tree/bin/podplug", join(directory, "first"));
    mkdirSync(join(directory, "other"));
    symlinkSync("../first", join(directory, "other/podplug"));
    expect((await start(join(directory, "other/podplug"))).stdout).toBe("bundle\n");
    const script = `cd / && PATH='${directory}/other':$PATH podplug x && cd '${tree}' && bin/podplug y && cd bin && sh podplug z`;
    expect((await run("sh", ["-c", script], directory)).stdout).toBe("bundle x\nbundle y\nbundle z\n");
  });

  test("says what to do without packages, and with no Node.js or too old a one", async () => {
    const { start, tree, file, directory } = await makeTree();
    rmSync(join(tree, "dist"), { recursive: true });
    rmSync(join(tree, "node_modules"), { recursive: true });
    expect(await start()).toEqual({
      code: 1,
      stdout: "",
      stderr: `podplug: its packages aren't installed: run make setup in ${tree}\n`,
    });
    rmSync(join(tree, "toolchain"), { recursive: true });
    mkdirSync(join(tree, "old"));
    file("old/node", "#!/bin/sh\necho v20.19.5\n", 0o755);
    const path = join(tree, "bin/podplug");
    const old = await run("env", [`PATH=${tree}/old:/usr/bin:/bin`, path], directory);
    expect(old).toEqual({
      code: 1,
      stdout: "",
      stderr: `podplug: Node.js v20.19.5 is too old: run make setup in ${tree}, or install Node.js 22.19 or newer\n`,
    });
    const none = await run("env", ["PATH=/nonexistent", "/bin/sh", path], directory);
    expect(none.code).toBe(1);
    expect(none.stderr).toContain("there is no Node.js: run make setup");
  });

  test("takes the PATH's Node.js when it is new enough and the tree has none", async () => {
    const { start, tree, file, directory } = await makeTree();
    rmSync(join(tree, "toolchain"), { recursive: true });
    mkdirSync(join(tree, "new"));
    for (const version of ["v22.19.0", "v23.0.0", "v24.1.0"]) {
      file("new/node", `#!/bin/sh\n[ "$1" = --version ] && echo ${version} || echo ran\n`, 0o755);
      const ran = await run("env", [`PATH=${tree}/new:/usr/bin:/bin`, join(tree, "bin/podplug")], directory);
      expect(ran).toEqual({ code: 0, stdout: "ran\n", stderr: "" });
    }
    expect((await start()).code).toBe(0);
  });
});

test("the bundle works wherever it is moved to, with no packages beside it", async () => {
  const { socketPath, directory, node, server: agent } = await startTestServer();
  const built = await run(process.execPath, [join(root, "scripts/build.ts"), join(directory, "built")], root);
  expect({ code: built.code, stderr: built.stderr }).toEqual({ code: 0, stderr: "" });
  await run("mv", [join(directory, "built"), join(directory, "moved")], directory);
  const bundle = join(directory, "moved/podplug.cjs");
  const server = ["--server", `unix://${socketPath}`];
  const podplug = (...args: string[]) => run(process.execPath, [bundle, ...args], directory);

  const attached = await podplug("attach", "demo/web", "net-a", "-o", "yaml", ...server);
  expect({ code: attached.code, stderr: attached.stderr }).toEqual({ code: 0, stderr: "" });
  expect((await podplug("list", "-A", ...server)).stdout).toContain("demo/net-a");
  // An error's detail comes in a header or a trailer.
  const refused = await podplug(
    "attach",
    "demo/web",
    "net-b",
    "--interface",
    "net1",
    "-o",
    "json",
    ...server,
  );
  expect(refused.code).toBe(1);
  expect(JSON.parse(refused.stderr)).toMatchObject({ error: { reason: "INTERFACE_IN_USE" } });
  expect((await podplug("attach", "demo/web", "net-a", "--key", "x".repeat(300), ...server)).code).toBe(2);
  const watching = podplug("watch", "-A", "-o", "json", ...server);
  await eventually(() => node.watching === 1, "the watcher has come");
  await agent.close(5000);
  expect(await watching).toMatchObject({ code: 5, stdout: expect.stringContaining("KIND_SYNCED") as string });
  expect((await podplug("agent", "--config", "/nonexistent")).code).toBe(2);
});
