import { expect, test } from "vitest";
import { KnownAttachments } from "../../src/controller/known-attachments.ts";
import { attached } from "./pod-interfaces.ts";

const pod = "default/web";

function knownWith(...present: readonly ReturnType<typeof attached>[]) {
  const known = new KnownAttachments();
  for (const each of present) known.note({ kind: "present", interface: each });
  known.note({ kind: "synced" });
  return known;
}

const namesIn = (known: KnownAttachments) => [...(known.namesOf(pod).get("sandbox-1") ?? [])].toSorted();

test.each(["attached", "changed"] as const)(
  "one that was replaced, as an event tells first by the word %s, is forgotten: the pod is when the last one goes",
  (kind) => {
    const known = knownWith(attached("net1"));
    for (let change = 0; change < 3; change += 1) {
      const next = attached("net1", { network: `default/n${change}` });
      known.note({ kind, interface: next });
      known.note({ kind: "changed", interface: next });
    }
    known.note({ kind: "attached", interface: attached("net2", { attachmentId: "second" }) });
    known.note({ kind: "detached", interface: attached("net2", { attachmentId: "second" }) });
    expect(known.keys()).toEqual([pod]);
    const last = attached("net1", { attachmentId: "last" });
    known.note({ kind: "changed", interface: last });
    known.note({ kind: "detached", interface: last });
    expect(known.has(pod)).toBe(false);
    expect(known.keys()).toEqual([]);
  },
);

test("one of another sandbox of the pod, or whose link was renamed, is taken for no other", () => {
  const elsewhere = attached("net1", { sandboxId: "sandbox-2" });
  const renamed = attached("net1", { selection: { name: "blue", interface: "net2" } });
  const known = knownWith(elsewhere, renamed);
  const net1 = attached("net1");
  known.note({ kind: "attached", interface: net1 });
  known.note({ kind: "detached", interface: net1 });
  known.note({ kind: "detached", interface: renamed });
  expect(known.has(pod)).toBe(true);
  known.note({ kind: "detached", interface: elsewhere });
  expect(known.has(pod)).toBe(false);
});

test("names are known until the status is without them, also of what was replaced or went unheard", () => {
  const cniResult = {
    cniVersion: "1.0.0",
    interfaces: [
      { name: "net1", sandbox: "/run/netns/a" },
      { name: "net1b", sandbox: "/run/netns/a" },
    ],
  };
  const known = knownWith(attached("net1", { cniResult }), attached("net2"));
  expect(namesIn(known)).toEqual(["net1", "net1b", "net2"]);
  known.note({ kind: "changed", interface: attached("net1") });
  known.restart();
  known.note({ kind: "present", interface: attached("net3") });
  known.note({ kind: "synced" });
  expect(namesIn(known)).toEqual(["net1", "net1b", "net2", "net3"]);
  known.statusHas(pod, "sandbox-1", ["net1b", "net3"]);
  expect(namesIn(known)).toEqual(["net1b", "net3"]);
  known.statusHas(pod, "sandbox-1", ["net3"]);
  expect(namesIn(known)).toEqual(["net3"]);
});

test("one that never was whole has no name in any status", () => {
  const known = knownWith(attached("net1", { state: "failed", attachedAt: undefined }));
  expect(known.has(pod)).toBe(true);
  expect(namesIn(known)).toEqual([]);
});
