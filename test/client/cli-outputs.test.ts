import { expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { PodplugError } from "../../src/domain/errors.ts";
import type { PodInterface } from "../../src/domain/node-api.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { eventually } from "../server/eventually.ts";
import { methodPath, startTestServer } from "../server/started-server.ts";
import { cli, startCli, testClock } from "./cli-in-memory.ts";

const caller = { name: "tester", reconciler: false };
const makeNode = () => createFakeNode({ now: () => new Date("2026-01-02T03:00:00Z") });

async function apiWith(...commands: readonly string[]) {
  const node = makeNode();
  const api = node.apiFor(caller);
  for (const command of commands) {
    const { code, stderr } = await cli(command.split(" "), { api });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  }
  return { node, api };
}

const two = [
  "attach demo/web net-a --ip 10.0.0.2/24",
  "attach demo/db net-b --interface data0 --key k1",
] as const;

test("a table shows place, interface, network, addresses and state of each interface, in columns", async () => {
  const { api } = await apiWith(...two);
  const { code, stdout } = await cli(["list", "-A"], { api });
  expect(code).toBe(0);
  expect(stdout).toBe(
    [
      "POD/NETNS  INTERFACE  NETWORK     IPS          MAC                STATE",
      "demo/web   net1       demo/net-a  10.0.0.2/24  0a:58:0a:00:00:01  attached",
      "demo/db    data0      demo/net-b  -            0a:58:0a:00:00:01  attached",
      "",
    ].join("\n"),
  );
});

test("wide adds owner, key, ID, MTU, index, age and failure", async () => {
  const { api } = await apiWith(...two);
  const { stdout } = await cli(["list", "demo/db", "-o", "wide"], { api });
  const [titles = "", row = ""] = stdout.split("\n");
  expect(titles.split(/ {2,}/).slice(6)).toEqual(["OWNER", "KEY", "ID", "MTU", "INDEX", "AGE", "FAILURE"]);
  expect(row.split(/ {2,}/).slice(6)).toEqual(["tester", "k1", "fake-2", "1500", "11", "4m", "-"]);
});

test("a pod's own link, a link that is down and a failure are told apart", async () => {
  const { api } = await apiWith(...two);
  const [one] = await api.list({}, new AbortController().signal);
  if (one === undefined) throw new Error("nothing is attached");
  const own: PodInterface = { ...one, name: "eth0", network: "", origin: "pod", state: undefined };
  const down: PodInterface = { ...one, name: "net2", up: false };
  const device: PodInterface = { ...one, name: "vf0", up: false, index: 0 };
  const failed: PodInterface = {
    ...one,
    name: "net3",
    state: "failed",
    failure: { reason: "PLUGIN_FAILED", message: "no room", retryable: true },
  };
  const list = () => Promise.resolve([own, down, device, failed]);
  const { stdout } = await cli(["list", "-A", "-o", "wide"], { api: { ...api, list } });
  const states = stdout.split("\n").map((line) => line.split(/ {2,}/)[5]);
  expect(states.slice(1, 5)).toEqual(["up", "attached (down)", "attached", "failed"]);
  expect(stdout).toContain("PLUGIN_FAILED: no room");
});

test("json and yaml are what the API itself answers", async () => {
  const { socketPath, url } = await startTestServer();
  const world = { server: `unix://${socketPath}` };
  const options = ["--ip", "10.0.0.2/24", "--bandwidth", "ingress=10M", "--cni-args", '{"a":[1,null,"x"]}'];
  const attached = await cli(["attach", "demo/web", "net-a", ...options, "-o", "json"], world);

  const listed = await post(`${url}${methodPath("ListInterfaces")}`, {});
  expect({ interfaces: [(JSON.parse(attached.stdout) as { interface: unknown }).interface] }).toEqual(listed);
  expect(listed).toMatchObject({
    interfaces: [{ selection: { bandwidth: { ingressRate: "10000000" }, cniArgs: { a: [1, null, "x"] } } }],
  });
  expect(JSON.parse((await cli(["list", "-A", "-o", "json"], world)).stdout)).toEqual(listed);
  expect(parse((await cli(["list", "-A", "-o", "yaml"], world)).stdout)).toEqual(listed);
  const info = await post(`${url}${methodPath("GetNodeInfo")}`, {});
  expect(JSON.parse((await cli(["info", "-o", "json"], world)).stdout)).toEqual(info);
  expect(parse((await cli(["info", "-o", "yaml"], world)).stdout)).toEqual(info);
});

async function post(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return response.json();
}

test("nothing to list says so on standard error, and leaves an empty answer for programs", async () => {
  const { api } = await apiWith();
  expect(await cli(["list"], { api })).toEqual({
    code: 0,
    stdout: "",
    stderr: "no interfaces in namespace default or in bare network namespaces (-A shows every namespace's)\n",
  });
  expect(await cli(["list", "-A"], { api })).toMatchObject({
    stderr: "no interfaces in any pod\n",
  });
  expect(await cli(["list", "-n", "demo"], { api })).toMatchObject({
    stderr: "no interfaces in namespace demo (-A shows every namespace's)\n",
  });
  expect(await cli(["list", "-o", "json"], { api })).toEqual({
    code: 0,
    stdout: '{\n  "interfaces": []\n}\n',
    stderr: "",
  });
});

test("list keeps to one namespace, and to bare ones unless it is named, until all are asked for", async () => {
  const { api } = await apiWith(...two, "attach --netns /run/netns/a net-a");
  expect((await cli(["list", "-n", "demo"], { api })).stdout.split("\n")).toHaveLength(4);
  expect((await cli(["list", "-A"], { api })).stdout).toContain("/run/netns/a");
  expect((await cli(["list"], { api })).stdout.split("\n")).toHaveLength(3);
  expect((await cli(["list"], { api })).stdout).toContain("/run/netns/a");
});

test("a table leaves out link-local addresses beside others, which wide and programs get", async () => {
  const { api } = await apiWith("attach demo/web net-a --ip 10.0.0.2/24");
  const [one] = await api.list({}, new AbortController().signal);
  if (one === undefined) throw new Error("nothing is attached");
  const linkLocal = "fe80::1/64";
  const both: PodInterface = { ...one, ips: [linkLocal, "10.0.0.2/24", "2001:db8::2/64"] };
  const alone: PodInterface = { ...one, ips: [linkLocal] };
  const ipsOf = async (found: PodInterface, format: string) => {
    const list = () => Promise.resolve([found]);
    const { stdout } = await cli(["list", "-A", "-o", format], { api: { ...api, list } });
    return stdout.split("\n")[1]?.split(/ {2,}/)[3];
  };
  expect(await ipsOf(both, "table")).toBe("10.0.0.2/24,2001:db8::2/64");
  expect(await ipsOf(both, "wide")).toBe("fe80::1/64,10.0.0.2/24,2001:db8::2/64");
  expect(await ipsOf(alone, "table")).toBe(linkLocal);
});

test("attaching what is there, and only trying, say that nothing changed", async () => {
  const { api } = await apiWith("attach demo/web net-a");
  expect(await cli(["attach", "demo/web", "net-a"], { api })).toMatchObject({
    code: 0,
    stderr: "net1 was attached already\n",
  });
  expect(await cli(["attach", "demo/db", "net-a", "--dry-run"], { api })).toMatchObject({
    code: 0,
    stderr: "dry run: this would be attached; nothing was changed\n",
  });
  expect(await cli(["attach", "demo/web", "net-a", "--dry-run"], { api })).toMatchObject({
    code: 0,
    stderr: "dry run: net1 is attached already; nothing was changed\n",
  });
  expect((await cli(["list", "-A"], { api })).stdout).not.toContain("demo/db");
});

test("attaching what is there but isn't well is a failure, with what to do", async () => {
  const { api } = await apiWith("attach demo/web net-a");
  const [one] = await api.list({}, new AbortController().signal);
  if (one === undefined) throw new Error("nothing is attached");
  const failure = { reason: "CHECK_FAILED", message: "interface net1 is gone from the pod", retryable: true };
  const attach = () =>
    Promise.resolve({ interface: { ...one, state: "failed" as const, failure }, created: false });
  const unwell = { api: { ...api, attach } };
  const { code, stdout, stderr } = await cli(["attach", "demo/web", "net-a"], unwell);
  expect({ code, state: stdout.trimEnd().split(/ {2,}/).at(-1) }).toEqual({ code: 1, state: "failed" });
  expect(stderr).toContain("podplug attach: attached already, but interface net1 is gone from the pod\n");
  expect(stderr).toContain("next step  Detach it and attach it again");
  const asJson = await cli(["attach", "demo/web", "net-a", "-o", "json"], unwell);
  expect(asJson.code).toBe(1);
  expect(JSON.parse(asJson.stdout)).toMatchObject({
    created: false,
    interface: { failure: { retryable: true } },
  });
  expect(JSON.parse(asJson.stderr)).toMatchObject({ error: { reason: "CHECK_FAILED" } });
});

test("detach finds by network, interface or ID, and says when there was nothing", async () => {
  const { api } = await apiWith(...two, "attach demo/web net-b");
  expect(await cli(["detach", "demo/web", "net-a"], { api })).toEqual({
    code: 0,
    stdout: "detached net1 (demo/net-a) from demo/web\n",
    stderr: "",
  });
  expect((await cli(["detach", "demo/db", "--interface", "data0"], { api })).stdout).toContain(
    "detached data0",
  );
  expect((await cli(["detach", "--id", "fake-3"], { api })).stdout).toContain("detached net2 (demo/net-b)");
  expect(await cli(["detach", "demo/web", "net-a"], { api })).toEqual({
    code: 0,
    stdout: "",
    stderr: "nothing to detach from pod demo/web: there is no attachment net-a\n",
  });
  expect(JSON.parse((await cli(["detach", "demo/web", "net-a", "-o", "json"], { api })).stdout)).toEqual({
    detached: false,
  });
});

test("check asks for each attachment of a pod, and fails when one isn't as it should be", async () => {
  const { api } = await apiWith("attach demo/web net-a", "attach demo/web net-b");
  expect(await cli(["check", "demo/web"], { api })).toMatchObject({ code: 0, stderr: "" });
  const check: typeof api.check = async (request, signal) => {
    if (request.interface === "net2") throw new PodplugError("CHECK_FAILED", "net2 is gone");
    return api.check(request, signal);
  };
  const broken = { api: { ...api, check } };
  expect(await cli(["check", "demo/web"], broken)).toEqual({
    code: 1,
    stdout: [
      "INTERFACE  NETWORK     CHECK",
      "net1       demo/net-a  ok",
      "net2       demo/net-b  CHECK_FAILED: net2 is gone",
      "",
    ].join("\n"),
    stderr: "",
  });
  const { stdout } = await cli(["check", "demo/web", "-o", "json"], broken);
  expect(JSON.parse(stdout)).toEqual({
    checks: [
      { interface: "net1", network: "demo/net-a", ok: true },
      {
        interface: "net2",
        network: "demo/net-b",
        ok: false,
        failure: { reason: "CHECK_FAILED", message: "net2 is gone", retryable: true },
      },
    ],
  });
  expect(await cli(["check", "demo/web", "--interface", "net2"], broken)).toMatchObject({
    code: 1,
    stdout: "",
  });
  expect(await cli(["check", "demo/db"], broken)).toMatchObject({
    code: 0,
    stderr: "no attachments in pod demo/db\n",
  });
});

test("check tells what the node knows already of an interface that is gone or renamed, without asking", async () => {
  const { api } = await apiWith("attach demo/web net-a");
  const [one] = await api.list({}, new AbortController().signal);
  if (one === undefined) throw new Error("nothing is attached");
  const failure = { reason: "CHECK_FAILED", message: "interface net1 was renamed to foo", retryable: true };
  const renamed: PodInterface = { ...one, name: "foo", state: "failed", failure };
  const check = () => Promise.reject(new PodplugError("ATTACHMENT_NOT_FOUND", "no attachment foo"));
  const list = () => Promise.resolve([renamed]);
  expect(await cli(["check", "demo/web"], { api: { ...api, check, list } })).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("CHECK_FAILED: interface net1 was renamed to foo") as string,
  });
});

test("watch prints a line per event until it is interrupted", async () => {
  const { node, api } = await apiWith(...two);
  const run = startCli(["watch", "-A"], { api });
  await eventually(() => run.stdout.text.includes("synced"), "the watcher is synced");
  await cli(["detach", "demo/db", "net-b"], { api });
  const [web] = await api.list({}, new AbortController().signal);
  if (web) node.emitFailure(web, new PodplugError("PLUGIN_FAILED", "no room"));
  await eventually(() => run.stdout.text.includes("no room"), "the failure is shown");
  run.interrupt();
  expect(await run.exitCode).toBe(130);
  const lines = run.stdout.text.trimEnd().split("\n");
  expect(lines.map((line) => line.split(/ +/).slice(0, 3).join(" "))).toEqual([
    "EVENT POD/NETNS INTERFACE",
    "present demo/web net1",
    "present demo/db data0",
    "synced",
    "detached demo/db data0",
    "failed demo/web net1",
  ]);
  expect(run.stderr.text).toBe("");
  expect(node.watching).toBe(0);
});

test.each(["json", "yaml"])(
  "watch -o %s prints one object for each event, of the namespace asked for",
  async (format) => {
    const { api } = await apiWith(...two, "attach --netns /run/netns/a net-a");
    const run = startCli(["watch", "-n", "demo", "-o", format], { api });
    await eventually(() => run.stdout.text.includes("KIND_SYNCED"), "the watcher is synced");
    run.interrupt();
    await run.exitCode;
    const events: unknown[] =
      format === "json"
        ? run.stdout.text
            .trimEnd()
            .split("\n")
            .map((line): unknown => JSON.parse(line))
        : parseAllDocuments(run.stdout.text).map((document): unknown => document.toJS());
    expect(events).toMatchObject([
      { kind: "KIND_PRESENT", interface: { name: "net1" } },
      { kind: "KIND_PRESENT", interface: { name: "data0" } },
      { kind: "KIND_SYNCED" },
    ]);
  },
);

test("colours are for terminals, and for those who want them", async () => {
  const { api } = await apiWith(...two);
  const escape = "\u001b[";
  expect((await cli(["list", "-A"], { api, terminal: true })).stdout).toContain(`${escape}32mattached`);
  expect((await cli(["list", "-A"], { api })).stdout).not.toContain(escape);
  expect((await cli(["list", "-A", "--no-color"], { api, terminal: true })).stdout).not.toContain(escape);
  expect((await cli(["list", "-A"], { api, terminal: true, noColor: true })).stdout).not.toContain(escape);
  expect((await cli(["list", "-A", "-o", "json"], { api, terminal: true })).stdout).not.toContain(escape);
});

test("nothing that the node says reaches the terminal raw", async () => {
  const { api } = await apiWith("attach demo/web net-a");
  const [one] = await api.list({}, new AbortController().signal);
  if (one === undefined) throw new Error("nothing is attached");
  const nasty = "x\u001b[2J\u009b31m\u202e\u0007\u007f";
  const odd: PodInterface = {
    ...one,
    name: nasty,
    network: nasty,
    owner: nasty,
    key: `${nasty}\nsecond: line\t`,
    cniResult: { [nasty]: nasty },
    failure: { reason: nasty, message: nasty, retryable: false },
  };
  const failing = new PodplugError("PLUGIN_FAILED", `${nasty}\n${nasty}`, { plugin: nasty, details: nasty });
  const hostile = {
    ...api,
    list: () => Promise.resolve([odd]),
    attach: () => Promise.resolve({ interface: odd, created: false }),
    detach: () => Promise.resolve({ detached: true, interface: odd }),
    check: () => Promise.reject(failing),
    info: () =>
      Promise.resolve({
        nodeName: nasty,
        version: nasty,
        runtime: nasty,
        executor: nasty,
        cniVersions: [nasty],
      }),
    async *watch() {
      yield {
        kind: "failed" as const,
        interface: odd,
        failure: { reason: nasty, message: nasty, retryable: false },
      };
    },
  };
  const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/;
  for (const command of [
    "list -A",
    "attach demo/web net-a",
    "detach demo/web net-a",
    "check demo/web",
    "info",
    "watch -A",
  ]) {
    for (const format of ["table", "wide", "json", "yaml"]) {
      const { stdout, stderr } = await cli([...command.split(" "), "-o", format], { api: hostile });
      expect([command, format, raw.exec(stdout), raw.exec(stderr)]).toEqual([command, format, null, null]);
      expect(stdout).not.toBe("");
    }
  }
  // What a program reads is what the node said, to the character.
  const said = { interfaces: [{ key: odd.key, cniResult: { [nasty]: nasty } }] };
  expect(JSON.parse((await cli(["list", "-A", "-o", "json"], { api: hostile })).stdout)).toMatchObject(said);
  expect(parse((await cli(["list", "-A", "-o", "yaml"], { api: hostile })).stdout)).toMatchObject(said);
  const { stderr } = await cli(["check", "demo/web", "--interface", "net1"], { api: hostile });
  expect([stderr.includes("\\u001b[2J"), raw.exec(stderr)]).toEqual([true, null]);
});

test("what takes longer than a second is told on a terminal, and erased in the end", async () => {
  const { node, api } = await apiWith();
  let nowMs = Date.parse("2026-01-02T03:04:05Z");
  let due: (() => void) | undefined;
  const clock = {
    now: () => new Date(nowMs),
    steadyMs: () => nowMs,
    setTimer(delayMs: number, action: () => void) {
      expect(delayMs).toBe(1000);
      due = action;
      return {
        [Symbol.dispose]() {
          due = undefined;
        },
      };
    },
  };
  const passSecond = (): void => {
    nowMs += 1000;
    due?.();
  };
  node.pause();
  const run = startCli(["attach", "demo/web", "net-a"], { api, clock, terminal: true });
  await eventually(() => node.waiting === 1, "the call has begun");
  expect(run.stderr.text).toBe("");
  passSecond();
  passSecond();
  node.resume();
  expect(await run.exitCode).toBe(0);
  expect(run.stderr.text.split("\r\u001b[2K")).toEqual([
    "",
    "attaching net-a to pod demo/web … 1 s",
    "attaching net-a to pod demo/web … 2 s",
    "",
  ]);
  expect(due).toBeUndefined();

  node.pause();
  const piped = startCli(["detach", "demo/web", "net-a"], { api, clock });
  await eventually(() => node.waiting === 1, "the call has begun");
  passSecond();
  node.resume();
  await piped.exitCode;
  expect(piped.stderr.text).toBe("");
});

test("an interrupted change says that it goes on, anything else only that it was interrupted", async () => {
  const { node, api } = await apiWith();
  const said = async (args: readonly string[]) => {
    node.pause();
    const run = startCli(args, { api, clock: testClock });
    await eventually(() => node.waiting === 1, "the call has begun");
    run.interrupt();
    return [await run.exitCode, run.stdout.text, run.stderr.text];
  };
  expect(await said(["attach", "demo/web", "net-a"])).toEqual([
    130,
    "",
    "podplug attach: interrupted; a change that had begun goes on, and podplug list shows how it ends\n",
  ]);
  expect(await said(["list"])).toEqual([130, "", "podplug list: interrupted\n"]);
});
