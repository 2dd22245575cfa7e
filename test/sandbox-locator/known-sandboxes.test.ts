import fc from "fast-check";
import { expect, test } from "vitest";
import { systemClock } from "../../src/domain/clock.ts";
import { parseSandboxInfo } from "../../src/sandbox/cri/info.ts";
import { hidesNamespace } from "../../src/sandbox/hidden-namespaces.ts";
import { createKnownSandboxes } from "../../src/sandbox/known-sandboxes.ts";

test("the memory of sandboxes is bounded: the oldest goes", () => {
  const known = createKnownSandboxes(systemClock);
  for (let ordinal = 0; ordinal <= 2_048; ordinal += 1) {
    known.remember({ id: `${ordinal}`, pod: { namespace: "demo", name: `pod-${ordinal}` } });
  }
  expect(known.get("0")).toBeUndefined();
  expect(known.ofPod({ namespace: "demo", name: "pod-1" })).toMatchObject({ id: "1" });
  expect(known.get("2048")).toBeDefined();
});

test("a runtime handler is told by whole words of its name", () => {
  for (const hiding of [
    "gvisor",
    "runsc",
    "kata",
    "kata-fc",
    "my-kata",
    "io.containerd.runsc.v1",
    "Kata_clh",
  ]) {
    expect([hiding, hidesNamespace(hiding, [])]).toEqual([hiding, true]);
  }
  for (const open of ["", "runc", "crun", "nvidia", "katalyst", "io.containerd.runc.v2"]) {
    expect([open, hidesNamespace(open, [])]).toEqual([open, false]);
  }
});

test("whatever a runtime says of a sandbox, reading it gives paths or none", () => {
  const shaped = fc.record(
    {
      pid: fc.oneof(fc.integer(), fc.anything()),
      runtimeType: fc.anything(),
      runtimeSpec: fc.oneof(
        fc.anything(),
        fc.record({ linux: fc.record({ namespaces: fc.array(fc.anything()) }) }),
      ),
    },
    { requiredKeys: [] },
  );
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    shaped.map((info) =>
      JSON.stringify(info, (_, value: unknown) => (typeof value === "bigint" ? 0 : value)),
    ),
  );
  fc.assert(
    fc.property(text, (info) => {
      for (const path of parseSandboxInfo({ info }).netnsPaths) expect(path).not.toBe("");
    }),
  );
});
