import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { expect, test } from "vitest";
import type { JsonObject } from "../../src/domain/json.ts";
import { makeNode, type TestNode } from "../support/node.ts";
import { runAgentProgram, toldOf } from "./agent-program.ts";

/** Refused with exit code 2 and these lines; nothing was made. */
async function expectRefusal(node: TestNode, lines: readonly string[]): Promise<void> {
  const { code, stderr } = await runAgentProgram(node.configFile);
  expect({ code, lines: stderr.split("\n").slice(0, lines.length) }).toEqual({ code: 2, lines });
  expect(existsSync(node.socket)).toBe(false);
  expect(existsSync(`${node.stateDir}/results`)).toBe(false);
}

test("a configuration that isn't there, or is an empty directory, is told by its path", async () => {
  await using node = await makeNode();
  await rm(node.configFile);
  await expectRefusal(node, [
    `podplug agent: configuration can't be read: ENOENT: no such file or directory, stat '${node.configFile}'`,
    "  reason     INVALID_CONFIGURATION",
  ]);
  await mkdir(node.configFile);
  await expectRefusal(node, [
    `podplug agent: ${node.configFile} holds no *.yaml, *.yml or *.json`,
    "  reason     INVALID_CONFIGURATION",
  ]);
});

test.each([
  ["runtime: netns\n  stateDir: [", "isn't YAML or JSON: "],
  ["runtime: netns\nruntime: cri\n", "isn't YAML or JSON: Map keys must be unique at line 2, column 1:"],
  ["- runtime: netns\n", "has a fault: the file: Invalid input: expected object, received array"],
  ["netns\n", "has a fault: the file: Invalid input: expected object, received string"],
  ["runtimes: netns\n", 'has a fault: the file: Unrecognized key: "runtimes"'],
  ["api: { listen: 127.0.0.1:65536 }", "has a fault: api.listen: the port must be at most 65535"],
])("the configuration %j is refused: it %s", async (text, fault) => {
  await using node = await makeNode();
  await writeFile(node.configFile, text);
  const { code, stderr } = await runAgentProgram(node.configFile);
  expect(code).toBe(2);
  expect(stderr).toContain(`podplug agent: ${node.configFile} ${fault}`);
});

test("every fault is told at once, each by its key's path", async () => {
  const config = {
    runtimes: "netns",
    networks: [{ directory: "relative" }, "nad"],
    api: { socket: "relative.sock", listen: "localhost", socketMode: "999", tlss: {} },
    cni: { binDirs: [], timeoutSeconds: 0, maxConcurrent: -1 },
    limits: { requestBytes: 12, inFlight: 1.5 },
    log: { level: "loud" },
  };
  await using node = await makeNode({ config });
  await expectRefusal(node, [
    `podplug agent: ${node.configFile}:`,
    "  api.socket: must be an absolute path",
    "  api.socketMode: must be an octal mode such as 0600",
    "  api.listen: must be HOST:PORT",
    "  api.listen: the port must be at most 65535",
    '  api: Unrecognized key: "tlss"',
    "  networks.0.directory: must be an absolute path",
    '  networks.1: must be netAttachDef, kaloom or { directory: "/…" }',
    "  cni.binDirs: Too small: expected array to have >=1 items",
    "  cni.timeoutSeconds: Too small: expected number to be >0",
    "  cni.maxConcurrent: Too small: expected number to be >=0",
    "  limits.requestBytes: Too small: expected number to be >=1024",
    "  limits.inFlight: Invalid input: expected int, received number",
    '  log.level: Invalid option: expected one of "debug"|"info"|"warn"|"error"',
    '  the file: Unrecognized key: "runtimes"',
    "  reason     INVALID_CONFIGURATION",
  ]);
});

const staticAuth = {
  authorization: "static",
  rules: [{ users: ["me"], verbs: ["get"], resources: ["podnetworks"] }],
};

test("what this version can't do is told at once, with what to do instead", async () => {
  const config = {
    executor: "kactus",
    api: { socket: "", tls: { certFile: "/a.pem" }, auth: staticAuth },
    contiv: { intentFile: "/intent.json" },
  };
  await using node = await makeNode({ config });
  await expectRefusal(node, [
    `podplug agent: ${node.configFile}:`,
    "  executor kactus: it plugs Kaloom's Networks alone; add kaloom to networks",
    "  contiv.intentFile: executor kactus plugs Kaloom's Networks alone; set it to direct",
    "  api: neither socket nor listen is given",
    "  api.tls: api.listen names no port to use it on",
    "  api.tls: certFile and keyFile are needed together",
    "  api.insecure: it contradicts api.tls; leave one of them out",
    "  api.tls: nobody could prove who they are; set clientCAFile, or api.auth.tokenReview",
    "  reason     INVALID_CONFIGURATION",
  ]);
});

const openly: JsonObject = { insecure: true };
const closed: JsonObject = { insecure: false };

test.each([
  ["0.0.0.0:0", openly, "without TLS, it isn't a loopback address"],
  ["[::]:0", openly, "without TLS, it isn't a loopback address"],
  ["10.1.2.3:7654", openly, "without TLS, it isn't a loopback address"],
  ["podplug.example:7654", openly, "without TLS, it isn't a loopback address"],
  ["127.0.0.1:0", closed, "without TLS, unless insecure is true"],
])("no port opens on %s with %j", async (listen, api, why) => {
  await using node = await makeNode({ listen, config: { api } });
  const { code, stderr } = await runAgentProgram(node.configFile);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: toldOf("INVALID_CONFIGURATION", `can't listen on ${listen} ${why}`),
  });
  expect(existsSync(node.socket)).toBe(false);
});

test("a port that another program has is told, and the socket isn't left behind", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => other.once("listening", resolve));
  const { port } = other.address() as { port: number };
  await using node = await makeNode({ listen: `127.0.0.1:${port}` });
  const { code, stderr } = await runAgentProgram(node.configFile);
  other.close();
  expect(code).toBe(5);
  expect(stderr).toMatch(new RegExp(`^podplug agent: can't listen on 127.0.0.1:${port}, .*EADDRINUSE`));
  expect(existsSync(node.socket)).toBe(false);
});

test("a file in the socket's place is left alone", async () => {
  await using node = await makeNode();
  await writeFile(node.socket, "precious");
  const { code, stderr } = await runAgentProgram(node.configFile);
  expect({ code, stderr }).toEqual({
    code: 2,
    stderr: toldOf(
      "INVALID_CONFIGURATION",
      `can't listen on socket ${node.socket}, it is there already and isn't a socket`,
    ),
  });
  expect(existsSync(node.socket)).toBe(true);
});
