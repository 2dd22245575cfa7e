import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig, refuseUnbuilt } from "../src/config.ts";

const expansion = ["a: &a [x, x, x, x, x, x, x, x, x]", "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]"];

test.each([
  ["an alias of nothing", "nodeName: *missing"],
  ["aliases that multiply", [...expansion, "c: [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b, *b]"].join("\n")],
  ["an unclosed list", "networks: ["],
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

test("what would restrict callers or networks is refused while it does nothing", () => {
  const served = "runtime: netns\nnetworks: [{ directory: /n }]\ncontroller: { enabled: false }\n";
  refuseUnbuilt(parseConfig(served, "podplug.yaml"));
  for (const text of [
    "api: { auth: { authorization: static } }",
    "api: { auth: { rules: [{ users: [a] }] } }",
  ]) {
    expect(() => refuseUnbuilt(parseConfig(`${served}${text}`, "podplug.yaml"))).toThrow(
      "not in this version",
    );
  }
});

test.each([
  ["dynamic-networks-containerd.json", "/host/run/containerd/containerd.sock"],
  ["dynamic-networks-crio.json", "/host/run/crio/crio.sock"],
])(
  "the configuration file of multus-dynamic-networks-controller is taken as it is shipped: %s",
  (name, criSocketPath) => {
    const text = readFileSync(join(import.meta.dirname, "fixtures/configurations", name), "utf8");
    const config = parseConfig(text, name);
    refuseUnbuilt(config);
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
