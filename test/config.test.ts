import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig, refuseContradictions } from "../src/config.ts";

const expansion = ["a: &a [x, x, x, x, x, x, x, x, x]", "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]"];

test.each([
  ["an alias of nothing", "nodeName: *missing"],
  ["aliases that multiply", [...expansion, "c: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b]"].join("\n")],
  ["an unclosed list", "networks: ["],
  // Which would become the key "[ a ]", with a warning on standard error.
  ["a list in a key's place", "[a]: b"],
])("a configuration with %s is refused as what it is", (_what, text) => {
  expect(() => parseConfig(text, "podplug.yaml")).toThrow(
    expect.objectContaining({
      reason: "INVALID_CONFIGURATION",
      message: expect.stringContaining("podplug.yaml isn't YAML or JSON"),
    }),
  );
});

test("a mode without quotes, which YAML reads as a number, is told to need them", () => {
  expect(() => parseConfig("api: { socketMode: 0660 }", "podplug.yaml")).toThrow(
    expect.objectContaining({ message: expect.stringContaining("in quotes") }),
  );
});

test("times that a timer can't hold are refused", () => {
  for (const text of ["limits: { maxDeadlineSeconds: 1e7 }", "healing: { intervalSeconds: 1e7 }"]) {
    expect(() => parseConfig(text, "podplug.yaml")).toThrow("Too big");
  }
});

const served = "runtime: netns\nnetworks: [{ directory: /n }]\ncontroller: { enabled: false }\n";
const files = "certFile: /c, keyFile: /k, clientCAFile: /a";
const rule = "{ users: [a], verbs: [get], resources: [podnetworks] }";
const staticAuth = `auth: { authorization: static, rules: [${rule}] }`;

test("a TLS port with client certificates and rules is accepted", () => {
  const text = `api: { listen: "0.0.0.0:7654", tls: { ${files} }, ${staticAuth} }`;
  refuseContradictions(parseConfig(served + text, "podplug.yaml"));
});

test.each([
  [`api: { ${staticAuth} }`, "set api.listen and api.tls"],
  [`api: { auth: { rules: [${rule}] } }`, "they count only when authorization is static"],
  [`api: { tls: { ${files} }, ${staticAuth} }`, "api.listen names no port"],
  [`api: { listen: "h:1", tls: { certFile: /c, clientCAFile: /a }, ${staticAuth} }`, "needed together"],
  [`api: { listen: "h:1", tls: { certFile: /c, keyFile: /k }, ${staticAuth} }`, "nobody could prove"],
  [`api: { listen: "h:1", insecure: true, tls: { ${files} }, ${staticAuth} }`, "contradicts api.tls"],
  [`api: { listen: "h:1", tls: { ${files} }, auth: { authorization: static } }`, "nobody may do anything"],
  [
    `api: { listen: "h:1", tls: { ${files} }, auth: { authorization: static, rules: [{ verbs: [get], resources: [podnetworks] }] } }`,
    "api.auth.rules.0: it names neither users nor groups",
  ],
])("the half-made door %s is refused", (text, why) => {
  expect(() => refuseContradictions(parseConfig(served + text, "podplug.yaml"))).toThrow(why);
});

test.each([
  ["dynamic-networks-containerd.json", "/host/run/containerd/containerd.sock"],
  ["dynamic-networks-crio.json", "/host/run/crio/crio.sock"],
])(
  "the configuration file of multus-dynamic-networks-controller is taken as it is shipped: %s",
  (name, criSocketPath) => {
    const text = readFileSync(join(import.meta.dirname, "fixtures/configurations", name), "utf8");
    const config = parseConfig(text, name);
    refuseContradictions(config);
    expect(config).toEqual({
      ...parseConfig("", "nothing"),
      runtime: "cri",
      criSocketPath,
      multusSocketPath: "/host/run/multus/multus.sock",
    });
  },
);

test("criType is a key of that file alone, and its faults are told by their key", () => {
  for (const [text, fault] of [
    ["criType: docker", "criType: must be crio or containerd"],
    ["criType: crio\nmultusSocketPath: 7", "multusSocketPath: "],
    ["criType: crio\nexecutor: direct", 'the file: Unrecognized key: "criType"'],
  ] as const) {
    expect(() => parseConfig(text, "podplug.yaml")).toThrow(fault);
  }
});
