import { expect, test } from "vitest";
import { PodplugError } from "../../src/domain/errors.ts";
import { kinds, type Reason, reasons } from "../../src/domain/reasons.ts";
import { createFakeNode } from "../fakes/fake-node-api.ts";
import { cli } from "./cli-in-memory.ts";

const failingWith = (error: unknown) => {
  const node = createFakeNode();
  node.failNext(error);
  return node.apiFor({ name: "tester", reconciler: false });
};

test.each(Object.keys(reasons) as Reason[])(
  "%s ends with the exit code of its kind and tells the cure",
  async (reason) => {
    const api = failingWith(new PodplugError(reason, "it failed"));
    const { code, stdout, stderr } = await cli(["attach", "demo/web", "net-a"], { api });
    expect(code).toBe(kinds[reasons[reason].kind].exitCode);
    expect(stdout).toBe("");
    expect(stderr).toBe(
      `podplug attach: it failed\n  reason     ${reason}\n  next step  ${reasons[reason].cure}\n`,
    );
  },
);

const pluginFailure = new PodplugError("PLUGIN_FAILED", "bridge can't add net1 to pod demo/web: no room", {
  plugin: "bridge",
  cniCode: 11,
  details: "first line\nsecond line",
  retryAfterMs: 5000,
});

test("an error tells the plugin, its code, all that it said, and when to try again", async () => {
  const { stderr } = await cli(["attach", "demo/web", "net-a"], { api: failingWith(pluginFailure) });
  expect(stderr.split("\n").slice(0, 6)).toEqual([
    "podplug attach: bridge can't add net1 to pod demo/web: no room",
    "  reason     PLUGIN_FAILED",
    "  plugin     bridge (CNI code 11)",
    "  details    first line",
    "             second line",
    "  try again  in 5 s",
  ]);
});

test.each(["json", "yaml"])("with -o %s an error is a line of JSON on standard error", async (format) => {
  const { code, stdout, stderr } = await cli(["attach", "demo/web", "net-a", "-o", format], {
    api: failingWith(pluginFailure),
  });
  expect([code, stdout, stderr.split("\n").length]).toEqual([1, "", 2]);
  expect(JSON.parse(stderr)).toEqual({
    error: {
      reason: "PLUGIN_FAILED",
      message: "bridge can't add net1 to pod demo/web: no room",
      plugin: "bridge",
      cniCode: 11,
      details: "first line\nsecond line",
      retryable: true,
      retryAfter: "5s",
    },
  });
});

test("what isn't podplug's error is a fault of podplug itself", async () => {
  const api = failingWith(new TypeError("x is undefined"));
  expect(await cli(["info"], { api })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("INTERNAL") as string,
  });
});

test.each([
  ["attach", "missing POD (or --netns, --container) and NETWORK (or --config-file)"],
  ["attach web", "missing NETWORK (or --config-file)"],
  ["attach web net-a more", "too many arguments: more"],
  ["attach web net-a --config-file f", "NETWORK net-a and --config-file exclude each other"],
  ["attach --netns a --container b net-a", "--netns and --container exclude each other"],
  ["attach -n demo --netns a net-a", "--namespace goes with a pod, not with --netns"],
  ["attach -n demo test/web net-a", "pod test/web and --namespace demo contradict each other"],
  ["attach a/b/c net-a", '"a/b/c" isn\'t a pod: use NAME or NAMESPACE/NAME'],
  ["attach web net-a --cni-args [1]", "--cni-args isn't a JSON object"],
  ["attach web net-a --cni-args {", "--cni-args isn't JSON"],
  ["attach web --config-file /nonexistent", "can't read the network's configuration"],
  ["attach web --config-file -", "standard input holds no configuration"],
  ["attach web net-a --bandwidth up=1M", "Use ingress, egress, ingress-burst, egress-burst"],
  ["attach web net-a --bandwidth ingress=fast", "isn't a count of bits"],
  ["attach web net-a --bandwidth ingress=1,ingress=2", "It says the same thing twice."],
  ["attach web net-a --port-map 80", "[HOSTIP:]HOSTPORT:CONTAINERPORT"],
  ["attach web net-a --timeout soon", "Use a duration such as 30s"],
  ["attach web net-a --source dns", "Allowed choices are netAttachDef, kaloom, directory, inline, contiv."],
  ["attach web net-a -o xml", "Allowed choices are table, wide, json, yaml."],
  ["detach web", "missing NETWORK (or --interface, --id)"],
  ["detach web net-a --interface net1", "only one of NETWORK, --interface and --id can be given"],
  ["detach --interface net1", "missing POD (or --netns, --container, --id)"],
  ["list web more", "too many arguments: more"],
  ["list -A -n demo", "--all-namespaces excludes"],
  ["list -A --netns a", "--all-namespaces excludes"],
  ["check", "missing POD (or --netns, --container)"],
  ["info web", "too many arguments: web"],
  ["agent", "required option '--config <file>' not specified"],
  ["completion powershell", "Allowed choices are bash, zsh, fish."],
  ["list --nmespace demo", "(Did you mean --namespace?)"],
  ["atach web net-a", "(Did you mean attach?)"],
  ["", "Usage: podplug COMMAND"],
])("podplug %s is wrong usage, and the message says how", async (line, message) => {
  const api = createFakeNode().apiFor({ name: "tester", reconciler: false });
  const { code, stdout, stderr } = await cli(line.split(" ").filter(Boolean), { api });
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toContain(message);
  expect(stderr).toContain("--help");
});

test.each([
  ["attach web net-a --mac 01:00:00:00:00:01", "INVALID_SELECTION", "isn't a unicast hardware address"],
  ["attach web net-a --port-map 0:80 --port-map 70000:1", "INVALID_SELECTION", "hostPort isn't a port"],
  ["list --server ftp://x", "INVALID_CONFIGURATION", "use unix:///PATH"],
  ["list --server http://10.0.0.1:80", "INVALID_CONFIGURATION", "unencrypted over the network"],
  ["list --server https://x:1 --client-cert c", "INVALID_CONFIGURATION", "needed together"],
  ["list --token-file t", "INVALID_CONFIGURATION", "only ever sent over https"],
])("podplug %s is refused before anything is asked", async (line, reason, message) => {
  const node = createFakeNode();
  const { code, stderr } = await cli(line.split(" "), {
    api: node.apiFor({ name: "tester", reconciler: false }),
  });
  expect(code).toBe(2);
  expect(stderr).toContain(reason);
  expect(stderr).toContain(message);
});

test("agent is started with its configuration file, and its exit code is the program's", async () => {
  const files: string[] = [];
  const startAgent = (file: string): Promise<number> => {
    files.push(file);
    return Promise.resolve(2);
  };
  expect(
    await cli(["agent", "--config", "/etc/podplug.yaml"], { programs: { agent: startAgent } }),
  ).toMatchObject({ code: 2 });
  expect(files).toEqual(["/etc/podplug.yaml"]);
});

test("server and controller are started alike, the controller with the address of its server", async () => {
  const started: (readonly string[])[] = [];
  const programs = {
    server: async (file: string) => started.push(["server", file]) - 1,
    controller: async (file: string, server: string) => started.push(["controller", file, server]) - 1,
  };
  expect(await cli(["server", "--config", "/p.yaml"], { programs })).toMatchObject({ code: 0 });
  expect(await cli(["controller", "--config", "/p.yaml"], { programs })).toMatchObject({ code: 1 });
  await cli(["controller", "--config", "/p.yaml"], { programs, server: "unix:///environment" });
  await cli(["controller", "--config", "/p.yaml", "--server", "unix:///given"], { programs });
  expect(started).toEqual([
    ["server", "/p.yaml"],
    ["controller", "/p.yaml", "unix:///run/podplug/podplug.sock"],
    ["controller", "/p.yaml", "unix:///environment"],
    ["controller", "/p.yaml", "unix:///given"],
  ]);
  expect(await cli(["controller"], { programs })).toMatchObject({ code: 2 });
});
