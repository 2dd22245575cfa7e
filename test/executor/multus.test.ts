import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { asPodplugError } from "../../src/domain/errors.ts";
import { silentLogger } from "../../src/domain/log.ts";
import { neverAborted as untilDone } from "../../src/domain/signals.ts";
import type { CniAttachment, Executor } from "../../src/executor/contract.ts";
import { createMultusExecutor } from "../../src/executor/multus.ts";
import { createMultusApi } from "../../src/executor/multus-api.ts";
import { executorContract } from "../contracts/executor.ts";
import { createFakeExecutor } from "../fakes/fake-executor.ts";
import { createFakeInterfaces } from "../fakes/fake-interfaces.ts";
import { failure } from "../support/failure.ts";

/** What multus-daemon 4.3.0 answered, by what was asked; the record has other ends of lines than the wire, and shorter paths. */
const recorded = new Map(
  readFileSync(join(import.meta.dirname, "../fixtures/multus-4.3.0-delegate.txt"), "utf8")
    .split(/^### /m)
    .slice(1)
    .map((part) => [part.split("\n", 1)[0] ?? "", onTheWire(part.split("--- response\n").at(-1) ?? "")]),
);
function onTheWire(record: string): string {
  const [head = "", ...rest] = record.replaceAll("\r", "").split("\n\n");
  const body = rest.join("\n\n").trimEnd();
  const headers = head.replace(/content-length: \d+/i, `Content-Length: ${Buffer.byteLength(body)}`);
  return `${headers.replaceAll("\n", "\r\n")}\r\n\r\n${body}`;
}
const healthy = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/** A daemon that gives these answers to `/delegate`, one after the other, and the last one from then on. */
async function startDaemon(...answers: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), "podplug-multus-"));
  const path = join(folder, "multus.sock");
  const requests: { readonly path: string; readonly body: Record<string, unknown> }[] = [];
  let server: Server | undefined;
  let given = 0;

  function open(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    server = createServer((socket) => {
      let text = "";
      socket.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        const [head = "", body = ""] = text.split("\r\n\r\n");
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (Buffer.byteLength(body) < length) return;
        const asked = head.split(" ")[1] ?? "";
        requests.push({
          path: asked,
          body: body === "" ? {} : (JSON.parse(body) as Record<string, unknown>),
        });
        const answer =
          asked === "/healthz" ? healthy : (answers[Math.min(given++, answers.length - 1)] ?? "");
        if (answer !== "") socket.end(answer);
      });
      socket.on("error", () => undefined);
    }).listen(path, resolve);
    return promise;
  }
  const close = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    if (closing) await new Promise((resolve) => closing.close(resolve));
  };
  await open();
  onTestFinished(async () => {
    await close();
    await rm(folder, { recursive: true });
  });
  return { path, requests, open, close };
}

function executorAt(path: string) {
  const kernel = createFakeInterfaces();
  kernel.addNetns("/run/netns/a");
  const direct = createFakeExecutor(kernel);
  let nowMs = 0;
  const clock = {
    now: () => new Date(nowMs),
    steadyMs: () => nowMs,
    setTimer: () => ({ [Symbol.dispose]: () => undefined }),
  };
  const api = createMultusApi({ socketPath: () => path });
  const executor = createMultusExecutor({ api, direct, clock, log: silentLogger });
  return { executor, direct, kernel, pass: (ms: number) => (nowMs += ms) };
}

const list = {
  cniVersion: "1.0.0",
  name: "blue",
  plugins: [{ type: "bridge", capabilities: { ips: true, mac: true, bandwidth: true, portMappings: true } }],
};
const definition = {
  displayName: "demo/blue",
  source: "netAttachDef",
  config: JSON.stringify(list),
} as const;

const attachment: CniAttachment = {
  executor: "multus",
  containerId: "c0ffee",
  ifName: "net1",
  netnsPath: "/run/netns/a",
  networkName: "blue",
  config: definition.config,
  cniArgs: [
    ["IgnoreUnknown", "true"],
    ["K8S_POD_NAMESPACE", "demo"],
    ["K8S_POD_NAME", "web"],
    ["K8S_POD_INFRA_CONTAINER_ID", "c0ffee"],
    ["K8S_POD_UID", "uid-1"],
  ],
  capabilityArgs: { ips: ["10.7.7.7/24"], mac: "02:00:00:00:00:77" },
};

const answerOf = (title: string): string => {
  const answer = recorded.get(title);
  if (answer === undefined) throw new Error(`nothing was recorded of ${title}`);
  return answer;
};
const answering = (status: string, body: string): string =>
  `HTTP/1.1 ${status}\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`;

describe("like every executor", () => {
  executorContract(async (add) => {
    const given = {
      succeeds: answerOf("ADD with interfaceAttributes"),
      fails: answerOf("ADD, missing plugin"),
      hangs: "",
    };
    const daemon = await startDaemon(given[add], answerOf("DEL, good"));
    const { executor, direct, kernel } = executorAt(daemon.path);
    // The link that the daemon's answer tells of, as CHECK looks for it.
    kernel.addLink("/run/netns/a", { name: "net8" });
    return {
      executor,
      definition: { ...definition, config: JSON.stringify({ ...list, plugins: [{ type: "bridge" }] }) },
      ifName: "net8",
      runs: async () =>
        daemon.requests.filter(({ path }) => path === "/delegate").length +
        direct.runs.filter((run) => run.startsWith("DEL")).length,
    };
  });
});

test("ADD asks as the daemon wants to be asked, and gives its result in the configuration's version", async () => {
  const daemon = await startDaemon(answerOf("ADD with interfaceAttributes"));
  const { executor } = executorAt(daemon.path);
  const result = await executor.add(attachment, untilDone);
  expect(result).toMatchObject({ cniVersion: "1.0.0", ips: [{ address: "10.7.7.7/24", interface: 0 }] });
  expect(daemon.requests.map(({ path }) => path)).toEqual(["/healthz", "/delegate"]);
  const { env, config, interfaceAttributes } = daemon.requests[1]?.body ?? {};
  expect(env).toEqual({
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: "c0ffee",
    CNI_NETNS: "/run/netns/a",
    CNI_IFNAME: "net1",
    CNI_ARGS: "K8S_POD_NAMESPACE=demo;K8S_POD_NAME=web;K8S_POD_UID=uid-1",
  });
  expect(JSON.parse(Buffer.from(String(config), "base64").toString())).toEqual(list);
  expect(interfaceAttributes).toEqual({ ips: ["10.7.7.7/24"], mac: "02:00:00:00:00:77" });
});

test("DEL is the daemon's while the pod's namespace is there, CHECK never is", async () => {
  const daemon = await startDaemon(answerOf("DEL, good"));
  const { executor, direct } = executorAt(daemon.path);
  await executor.del(attachment, undefined, untilDone);
  expect(daemon.requests.filter(({ path }) => path === "/delegate")).toHaveLength(1);
  expect(direct.runs).toEqual([]);
  await expect(executor.check(attachment, {}, untilDone)).rejects.toEqual(failure("CHECK_FAILED"));
  expect(direct.runs).toEqual(["CHECK net1"]);
});

test.each([
  ["ADD, missing plugin", "failed to find plugin"],
  ["ADD again, same name", "interface name net9 already exists"],
  ["not JSON", "invalid character"],
])("what the daemon says of a failure is what the user hears (%s)", async (title, message) => {
  const daemon = await startDaemon(answerOf(title));
  const { executor } = executorAt(daemon.path);
  const failed = await executor.add(attachment, untilDone).catch((error: unknown) => error);
  expect(failed).toEqual(failure("PLUGIN_FAILED", message));
  expect(String(failed)).not.toContain("ContainerID:");
});

test("a plugin's own error keeps its code, and code 11 its delay", async () => {
  const said = JSON.stringify({ cniVersion: "1.0.0", code: 11, msg: "try again later" });
  const daemon = await startDaemon(answering("400 Bad Request", said));
  const { executor } = executorAt(daemon.path);
  await expect(executor.add(attachment, untilDone)).rejects.toMatchObject({
    reason: "PLUGIN_FAILED",
    cniCode: 11,
    retryAfterMs: 5000,
  });
});

test.each([
  ["nothing", answering("200 OK", "")],
  ["no JSON", answering("200 OK", "<html>")],
  ["no result", answering("200 OK", "{}")],
  ["a result of no version", answering("200 OK", '{"Result":{"cniVersion":"9.9.9"}}')],
  ["more than a result can be", answering("200 OK", "x".repeat(2 * 1024 * 1024))],
])("an answer with %s in it is bad output", async (_what, answer) => {
  const daemon = await startDaemon(answer);
  const { executor } = executorAt(daemon.path);
  await expect(executor.add(attachment, untilDone)).rejects.toEqual(failure("PLUGIN_BAD_OUTPUT"));
});

test.each([
  ["is about to end", answering("500 Internal Server Error", "shutting down")],
  ["isn't one", answering("404 Not Found", "404 page not found\n")],
  ["speaks no HTTP", "nonsense\r\n\r\n"],
])("a daemon that %s is away", async (_what, answer) => {
  const daemon = await startDaemon(answer);
  const { executor } = executorAt(daemon.path);
  await expect(executor.add(attachment, untilDone)).rejects.toEqual(failure("UNREACHABLE", "multus-daemon"));
});

test("one that never answers is given up in time", async () => {
  const daemon = await startDaemon("");
  const { executor } = executorAt(daemon.path);
  await expect(executor.add(attachment, AbortSignal.timeout(50))).rejects.toEqual(failure("PLUGIN_TIMEOUT"));
});

test("an ADD that isn't answered may go on, one that is answered or was never asked for doesn't", async () => {
  const refused = async (daemon: { readonly path: string }, signal = untilDone): Promise<boolean> => {
    const { executor } = executorAt(daemon.path);
    expect(executor.daemons).toEqual(["multus"]);
    return asPodplugError(await executor.add(attachment, signal).catch((error: unknown) => error)).mayGoOn;
  };
  expect(await refused(await startDaemon(""), AbortSignal.timeout(50))).toBe(true);
  expect(await refused(await startDaemon("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"))).toBe(true);
  expect(await refused(await startDaemon(answerOf("ADD, missing plugin")))).toBe(false);
  expect(await refused(await startDaemon(answering("500 Internal Server Error", "shutting down")))).toBe(
    false,
  );
  expect(await refused({ path: "/nowhere" })).toBe(false);
});

test("DEL does without the daemon once the namespace is gone, and once the daemon stays away", async () => {
  const daemon = await startDaemon(answerOf("DEL, good"));
  const { executor, direct, pass } = executorAt(daemon.path);
  await executor.del({ ...attachment, netnsPath: undefined }, undefined, untilDone);
  expect(direct.runs).toEqual(["DEL net1"]);
  expect(daemon.requests).toEqual([]);

  await daemon.close();
  const del = () => executor.del(attachment, undefined, untilDone);
  await expect(del()).rejects.toEqual(failure("UNREACHABLE"));
  pass(29_000);
  await expect(del()).rejects.toEqual(failure("UNREACHABLE"));
  pass(1_000);
  await del();
  expect(direct.runs).toEqual(["DEL net1", "DEL net1"]);

  await daemon.open();
  await del();
  await daemon.close();
  await expect(del()).rejects.toEqual(failure("UNREACHABLE"));
  expect(direct.runs).toHaveLength(2);
});

test.each([
  ["bandwidth", { bandwidth: { ingressRate: 1000 } }],
  ["portMappings", { portMappings: [{ hostPort: 80, containerPort: 80 }] }],
  ["infinibandGUID", { infinibandGuid: "c2:11:22:33:44:55:66:77" }],
  ["device 0000:03:02.0", { deviceId: "0000:03:02.0" }],
])("what Multus's API has no place for is refused: %s", async (what, selection) => {
  const { executor } = executorAt("/nowhere");
  await expect(executor.prepare(definition, selection, { deep: false }, untilDone)).rejects.toEqual(
    failure("UNSUPPORTED", what),
  );
});

test("addresses that no plugin would get are refused before anybody is asked", async () => {
  const { executor } = executorAt("/nowhere");
  const plain = { ...definition, config: JSON.stringify({ ...list, plugins: [{ type: "bridge" }] }) };
  const prepared = executor.prepare(plain, { ips: ["10.7.7.7/24"] }, { deep: false }, untilDone);
  await expect(prepared).rejects.toEqual(failure("CAPABILITY_NOT_DECLARED"));
});

test("a bare namespace has no pod for Multus to ask for: refused before there is a record", async () => {
  const { executor } = executorAt("/nowhere");
  for (const cniArgs of [[], [["K8S_POD_NAME", ""]]] as const) {
    const options = { deep: false, attachment: { ifName: "net1", cniArgs } };
    await expect(executor.prepare(definition, {}, options, untilDone)).rejects.toEqual(
      failure("UNSUPPORTED", "pods alone"),
    );
  }
});

test("a record without a pod is cleaned up without the daemon", async () => {
  const daemon = await startDaemon(answering("400 Bad Request", "no pod"));
  const { executor, direct } = executorAt(daemon.path);
  await executor.del({ ...attachment, cniArgs: [["IgnoreUnknown", "true"]] }, undefined, untilDone);
  expect(direct.runs).toEqual(["DEL net1"]);
  expect(daemon.requests).toEqual([]);
});

test("a dry run says when the daemon is away", async () => {
  const { executor }: { executor: Executor } = executorAt("/nowhere");
  await expect(executor.prepare(definition, {}, { deep: true }, untilDone)).rejects.toEqual(
    failure("UNREACHABLE", "/nowhere"),
  );
});
